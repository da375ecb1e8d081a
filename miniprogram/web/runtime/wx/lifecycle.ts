// wx.onAppShow and wx.onAppHide: what the app hears in `onShow` and `onHide`, for code that does not have the app.

type Listener = (options: object) => void;

const shows = new Set<Listener>();
const hides = new Set<Listener>();

/** The app came to the front. */
export function shown(): void {
  for (const listener of [...shows]) listener({});
}

/** The app went to the back. */
export function hidden(): void {
  for (const listener of [...hides]) listener({});
}

/** Without a listener, all of them are removed. */
function off(listeners: Set<Listener>): (listener?: Listener) => void {
  return (listener) => {
    if (listener) listeners.delete(listener);
    else listeners.clear();
  };
}

export const lifecycle = {
  onAppShow: (listener: Listener) => {
    shows.add(listener);
  },
  offAppShow: off(shows),
  onAppHide: (listener: Listener) => {
    hides.add(listener);
  },
  offAppHide: off(hides),
};
