// Selectors of tests. The runner puts the prefix of a component before the component's classes.

/** The selector, whose classes match in pages and in components: `.row` is the class `row`, or `c0--row`. */
export function inAnyPart(selector: string): string {
  return selector.replace(/\.(?!mp-)([a-z][a-z-]*)/g, ':is(.$1, [class$="--$1"], [class*="--$1 "])');
}
