// A panel of emoji. Emits `choose` with one, and `erase`.

const EMOJIS =
  '😀😄😁😆😅😂🤣😊😇🙂😉😌😍🥰😘😋😜🤪🤔🤗🤭😏😒🙄😬😮😴🤤😷🤒🥳😎🤓😕😟😢😭😱😤😡🤯😳🥺👻💩🙈👍👎👌🤝👏🙏💪👀💔🎉🎂🌹☕🍺🍜🌞🌙⭐🔥💯';

Component({
  data: { emojis: Array.from(EMOJIS) },

  methods: {
    onTap(event: WechatMiniprogram.TouchEvent) {
      const { emoji } = event.currentTarget.dataset as { emoji: string };
      this.triggerEvent('choose', { emoji });
    },

    onErase() {
      this.triggerEvent('erase');
    },
  },
});
