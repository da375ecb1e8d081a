// The menu at a bubble: a dark panel of icons with words. Emits `choose` with the action, and `close`; both close it.

import { texts } from '../../texts/index';
import type { Action } from './action';
import { place, type Box } from './place';

const words = texts().menu.actions;

/** Choices in a line. */
const COLUMNS = 5;

Component({
  data: {
    choices: [] as { action: Action; text: string }[],
    columns: COLUMNS,
    /** Before that nobody sees the panel. */
    isPlaced: false,
    isAbove: true,
    place: '',
    arrow: 0,
  },

  methods: {
    /** Opens the menu at a bubble, of which the box is as `boundingClientRect` has it. */
    open(actions: readonly Action[], bubble: Box) {
      const choices = actions.map((action) => ({ action, text: words[action] }));
      const columns = Math.min(COLUMNS, choices.length);
      this.setData({ choices, columns, isPlaced: false, place: '' }, () => {
        this.place(bubble);
      });
    },

    close() {
      if (this.data.choices.length > 0) this.setData({ choices: [] });
    },

    place(bubble: Box) {
      const query = this.createSelectorQuery();
      query.select('.mask').boundingClientRect();
      query.select('.panel').boundingClientRect();
      query.exec(([screen, panel]: (Box | null)[]) => {
        if (!screen || !panel) return;
        const { left, top, arrow, isAbove } = place(bubble, panel, screen);
        this.setData({ isPlaced: true, isAbove, arrow, place: `left: ${left}px; top: ${top}px` });
      });
    },

    onNothing() {
      // The mask keeps touches from the list behind it.
    },

    onClose() {
      this.close();
      this.triggerEvent('close');
    },

    onChoose({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { action } = currentTarget.dataset as { action: Action };
      this.close();
      this.triggerEvent('choose', { action });
    },
  },
});
