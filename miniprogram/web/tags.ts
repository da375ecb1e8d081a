// The built-in components of a mini program that the runner has.

/** Their tags. In the page's DOM each is prefixed with `wx-`, so that HTML's own elements are not meant. */
export const TAGS: ReadonlySet<string> = new Set([
  'button',
  'image',
  'input',
  'page-meta',
  'scroll-view',
  'text',
  'textarea',
  'view',
]);
