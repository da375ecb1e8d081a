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
      this.setData({ shown: src, letter: letter.toUpperCase(), hue: userId % HUES });
    },
  },

  methods: {
    onError() {
      this.setData({ shown: '' });
    },
  },
});
