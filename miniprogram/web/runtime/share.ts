// <button open-type="share">: WeChat asks the page what to share, and then the user with whom. A browser copies a link.

/** What `onShareAppMessage` of a page returns. */
interface Shared {
  title?: string;
  path?: string;
}

interface Runner {
  getCurrentPages: () => { route: string; onShareAppMessage?: (given: object) => Shared | undefined }[];
  wx: { setClipboardData: (given: object) => unknown };
}

export function share(): void {
  const { getCurrentPages, wx } = window as unknown as Runner;
  const page = getCurrentPages().at(-1);
  if (!page) return;
  const { title = document.title, path = page.route } = page.onShareAppMessage?.({ from: 'button' }) ?? {};
  wx.setClipboardData({ data: `${title} ${location.origin}${location.pathname}#${path.replace(/^\//, '')}` });
}
