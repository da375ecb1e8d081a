// Divides a mini program into packages: what the first screen needs, and what comes after it.

import type { Project } from './project';

/** The package that is loaded before all others. */
export const FIRST = 'app';

/** The package of the pages that are named nowhere. */
const REST = 'rest';

/** How a mini program is divided. Without this it is one package. */
export interface Division {
  /** The pages of the first screen. */
  first?: readonly string[];
  /**
   * Pages by the package that they are in; all others are in one package. And components for which a placeholder stands
   * in the first package.
   */
  later?: Readonly<Record<string, readonly string[]>>;
  /** The files with the texts of a language, which is loaded alone. */
  languages?: Readonly<Record<string, string>>;
}

/** The pages and components of each package, each after the ones that it uses. */
export function divide(project: Project, { first, later = {} }: Division): Record<string, Set<string>> {
  const { pages } = project;
  const named = new Set([...(first ?? pages), ...Object.values(later).flat()]);
  for (const part of named) if (!project.parts.has(part)) throw new Error(`there is no page or component ${part}`);
  const all = (of: readonly string[], apart: ReadonlySet<string> = new Set()) => {
    const found = new Set<string>();
    for (const part of of) collect(project, part, apart, found);
    return found;
  };
  const apart = new Set(Object.values(later).flat());
  const packages: Record<string, Set<string>> = { [FIRST]: all(first ?? pages, apart) };
  const rest = pages.filter((page) => !named.has(page));
  for (const [name, of] of Object.entries({ ...later, ...(rest.length > 0 && { [REST]: rest }) })) {
    packages[name] = new Set([...all(of)].filter((part) => !packages[FIRST]?.has(part)));
  }
  return packages;
}

/** Adds a part and what it uses; without what is `apart`, if a placeholder stands for it. */
function collect(project: Project, part: string, apart: ReadonlySet<string>, found: Set<string>): void {
  if (found.has(part)) return;
  const { usingComponents = {}, componentPlaceholder = {} } = project.parts.get(part) ?? {};
  for (const [tag, path] of Object.entries(usingComponents)) {
    const used = path.slice(1);
    if (!(tag in componentPlaceholder && apart.has(used))) collect(project, used, apart, found);
  }
  found.add(part);
}
