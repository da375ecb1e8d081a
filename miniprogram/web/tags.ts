// The built-in components of a mini program that the runner has.

/** Their tags. In the DOM each has the prefix `wx-`, so that it does not name HTML's own element. */
export const TAGS: ReadonlySet<string> = new Set([
  'button',
  'image',
  'input',
  'page-container',
  'page-meta',
  'scroll-view',
  'switch',
  'text',
  'textarea',
  'view',
]);

/** Those that the runner has from the beginning; the others come with its second half. */
export const FIRST_TAGS: ReadonlySet<string> = new Set(['button', 'input', 'page-meta', 'text', 'view']);
