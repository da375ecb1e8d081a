// A user's picture, or the first letter of the name on a colour.

const HUES = 6;

Component({
  properties: {
    src: String,
    name: String,
    /** Chooses the colour, so that it stays when the name changes. */
    userId: Number,
  },

  data: { shown: '', letter: '', hue: 0 },

  observers: {
    'src, name, userId'(src: string, name: string, userId: number) {
      const [letter = ''] = name;
      const next = { shown: src, letter: letter.toUpperCase(), hue: userId % HUES };
      // It is called for each of the properties, and a long list has hundreds.
      const { shown, hue } = this.data;
      if (next.shown !== shown || next.letter !== this.data.letter || next.hue !== hue) this.setData(next);
    },
  },

  methods: {
    onError() {
      this.setData({ shown: '' });
    },
  },
});
