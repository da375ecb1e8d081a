// Opens a page from another one.

let isGoing = false;

/** Opens the page at `url`. A second tap, which comes before the page has gone, does nothing. */
export function go(url: string): void {
  if (isGoing) return;
  isGoing = true;
  const complete = () => {
    isGoing = false;
  };
  wx.navigateTo({ url, complete });
}
