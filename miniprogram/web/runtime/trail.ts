// The browser's history: the back button leaves a page, and a reload shows the same pages again.

interface Entry {
  /** The URLs of the pages, the bottom one first. */
  pages: string[];
}

/** A frame adds no entries: the back button of another frame would use them. */
const isFramed = window.parent !== window;

function entry(value: unknown): Entry | undefined {
  return value !== null && typeof value === 'object' && 'pages' in value ? (value as Entry) : undefined;
}

/** The pages to show at the start: those from before a reload, or the URL's. */
export function firstPages(): string[] {
  const pages = entry(history.state)?.pages;
  if (pages && pages.length > 0) return pages;
  const named = location.hash.replace(/^#\/?/, '');
  return named ? [`/${named}`] : [];
}

/** Stores the shown pages; `isDeeper` if there is one more than before. */
export function record(pages: string[], isDeeper: boolean): void {
  const url = `${location.pathname}${location.search}#${pages.at(-1) ?? ''}`;
  if (isDeeper && !isFramed) history.pushState({ pages }, '', url);
  else history.replaceState({ pages }, '', url);
}

/** Calls `back` with the number of pages that remain after the browser went back. */
export function onBack(back: (depth: number) => void): void {
  window.addEventListener('popstate', (event) => {
    back(entry(event.state)?.pages.length ?? 1);
  });
}
