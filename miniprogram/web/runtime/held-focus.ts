// A menu or dialog of the page takes the focus when it opens, and gives it back: a keyboard goes on from there.

/** Call it for an element with the role `menu` or `dialog`. The result gives the focus back. */
export function holdFocus(element: HTMLElement): () => void {
  const before = document.activeElement;
  // Whoever writes goes on writing, and keeps the keyboard.
  if (before instanceof HTMLTextAreaElement || before instanceof HTMLInputElement) return () => undefined;
  // What is in it is drawn later.
  queueMicrotask(() => element.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true }));
  return () => {
    const hasMoved = document.activeElement !== document.body && !element.contains(document.activeElement);
    if (before instanceof HTMLElement && before.isConnected && !hasMoved) before.focus({ preventScroll: true });
  };
}
