// What lies over a page: going back, or Escape, closes the last of it instead of the page.

type Close = () => void;

const open: Close[] = [];

/** Something was opened over the page. */
export function addCloser(close: Close): void {
  open.push(close);
}

/** It was closed. */
export function removeCloser(close: Close): void {
  const at = open.lastIndexOf(close);
  if (at >= 0) open.splice(at, 1);
}

/** Closes the last of it. False if there is nothing. */
export function closeLast(): boolean {
  const close = open.at(-1);
  close?.();
  return close !== undefined;
}

document.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') closeLast();
});
