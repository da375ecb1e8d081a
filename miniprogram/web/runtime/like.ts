// How much of a phone the runner pretends to be.

const query = new URLSearchParams(location.search);

/**
 * With `?like=wechat` in the URL: whoever opens the page has not agreed to the privacy guideline yet, and five
 * seconds in the background interrupt the app. Otherwise neither is so, since a browser has neither.
 */
export const isLikeWechat = query.get('like') === 'wechat';

/** Pixels of a pretended keyboard, by `?keyboard=`; 0 without one. A real one changes the window's height. */
export const KEYBOARD_PX = Number(query.get('keyboard') ?? 0);
