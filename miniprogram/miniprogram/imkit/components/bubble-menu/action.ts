// What can be chosen from the menu of a bubble.

import type { Texts } from '../../texts/zh';

export type Action = keyof Texts['menu']['actions'];
