// Subpackages: what WeChat refuses of their configuration, and of what one package uses of another.

/** A part of a mini program that WeChat loads when its first page is opened. */
export interface Subpackage {
  /** Its folder, and its pages within it. */
  root: string;
  pages: string[];
  independent?: boolean;
}

/** The subpackages and the bar at the bottom, in `app.json`. */
interface Packages {
  pages: string[];
  subpackages?: Subpackage[];
  subPackages?: Subpackage[];
  tabBar?: { list: { pagePath: string }[] };
}

/** Says what WeChat refuses, in one line. */
function refuse(reason: string): never {
  throw new Error(`app.json: ${reason}`);
}

/** Their roots, without slashes at the ends. Throws if WeChat would refuse the configuration. */
export function rootsOf(app: Packages): string[] {
  const subpackages = app.subpackages ?? app.subPackages ?? [];
  const roots = subpackages.map(({ root, independent }) => {
    if (independent) refuse(`the runner has no independent subpackages, such as ${root}`);
    return root.replace(/^\/|\/$/g, '');
  });
  roots.forEach((root, index) => {
    const outer = roots.find((other, at) => at !== index && isWithin(root, other));
    if (outer !== undefined) refuse(`the subpackage ${root} is within the subpackage ${outer}`);
    const page = app.pages.find((each) => isWithin(each, root));
    if (page !== undefined) refuse(`the page ${page} of the main package is within the subpackage ${root}`);
    const tab = app.tabBar?.list.find(({ pagePath }) => isWithin(pagePath, root));
    if (tab) refuse(`the page ${tab.pagePath} of the tab bar is not in the main package`);
  });
  return roots;
}

/** All pages, those of the main package first. */
export function pagesOf(app: Packages): string[] {
  const roots = rootsOf(app);
  const subpackages = app.subpackages ?? app.subPackages ?? [];
  return [...app.pages, ...subpackages.flatMap(({ pages }, index) => pages.map((page) => `${roots[index] ?? ''}/${page}`))];
}

function isWithin(file: string, root: string): boolean {
  return file === root || file.startsWith(`${root}/`);
}

/** Throws if `from` may not use `to`: each package sees itself and the main package. Both are paths from the root. */
export function checkUse(roots: readonly string[], from: string, to: string): void {
  const root = roots.find((each) => isWithin(to, each));
  if (root === undefined || isWithin(from, root)) return;
  throw new Error(`${from} uses ${to}, which is in the subpackage ${root}: only that may use it`);
}
