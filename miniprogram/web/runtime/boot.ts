// The first script of the page, and the only one in its HTML: loads the others, tries again when one does not come,
// and keeps the modules that are in them.

/** The files of the build, by their names without suffix, each with its version. */
declare const SCRIPTS: Record<string, string>;
declare const STYLES: Record<string, string>;

/** The packages that the first screen needs. */
declare const FIRST: readonly string[];

/** The package of each page, and of each component with a placeholder, that is not in the first one. */
declare const PACKAGES: Record<string, string>;

/** The languages whose texts are files of their own; the last one is for everybody else. */
declare const LANGUAGES: readonly string[];

/** What all files of one build have in common. */
declare const BUILD: string;

type Require = (name: string) => object;
type Factory = (require: Require, module: { exports: object }, exports: object) => void;

/** What scripts and the runner share. */
export interface Boot {
  /** Scripts hand over their modules. A module runs when it is required for the first time. */
  define: (build: string, factories: Record<string, Factory>) => void;
  require: Require;
  /** Loads a package. Rejects if it does not come now: the caller may ask again. */
  load: (name: string) => Promise<void>;
  isLoaded: (name: string) => boolean;
  /** The package of each page, and of each component with a placeholder, that is not in the first one. */
  readonly packages: Record<string, string>;
  /** Whether the service has another build than this page: only a reload helps. */
  isStale: boolean;
}

/** Milliseconds after which a file does not come any more. */
const PATIENCE_MS = 20_000;

/** Milliseconds until the next attempt for a file that the first screen needs. */
const AGAIN_MS = 2000;

const factories: Record<string, Factory> = {};
const modules: Record<string, { exports: object }> = {};
const loaded = new Set<string>();
const loading = new Map<string, Promise<void>>();

const require: Require = (name) => {
  const known = modules[name];
  if (known) return known.exports;
  const module = (modules[name] = { exports: {} });
  // The texts of another language are not there.
  factories[name]?.(require, module, module.exports);
  return module.exports;
};

/** Adds an element that loads a file; without it again if that fails. */
function add(element: HTMLScriptElement | HTMLLinkElement): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => {
      clearTimeout(timer);
      element.remove();
      reject(new Error('a part of the page did not load'));
    };
    const timer = setTimeout(fail, PATIENCE_MS);
    element.onload = () => {
      clearTimeout(timer);
      resolve();
    };
    element.onerror = fail;
    document.head.append(element);
  });
}

function script(src: string): Promise<void> {
  return add(Object.assign(document.createElement('script'), { src }));
}

function style(href: string): Promise<void> {
  return add(Object.assign(document.createElement('link'), { rel: 'stylesheet', href }));
}

async function fetchPackage(name: string): Promise<void> {
  const [src, href] = [SCRIPTS[name], STYLES[name]];
  await Promise.all([src && !(name in factories) && script(src), href && style(href)]);
  if (!(name in factories)) throw new Error('a part of the page is of another version');
  loaded.add(name);
}

const boot: Boot = {
  define: (build, added) => {
    if (build === BUILD) Object.assign(factories, added);
    else boot.isStale = true;
  },
  require,
  load: (name) => {
    if (loaded.has(name)) return Promise.resolve();
    const running = loading.get(name) ?? fetchPackage(name).finally(() => loading.delete(name));
    loading.set(name, running);
    return running;
  },
  isLoaded: (name) => loaded.has(name),
  packages: PACKAGES,
  isStale: false,
};

declare global {
  interface Window {
    mp: Boot;
  }
}

window.mp = boot;

/** Loads what the first screen needs, until it is there. The splash says meanwhile that it takes long. */
async function insist(name: string): Promise<void> {
  for (;;) {
    try {
      await boot.load(name);
      return;
    } catch {
      await new Promise((resolve) => {
        setTimeout(resolve, AGAIN_MS);
        window.addEventListener('online', resolve, { once: true });
      });
    }
  }
}

const language = LANGUAGES.find((each) => navigator.language.startsWith(each)) ?? LANGUAGES.at(-1);
const first = [...FIRST, ...(language === undefined ? [] : [language])];

// The pages of before a reload, or of a link, come at the same time.
const pages = JSON.stringify([history.state, location.hash]);
for (const [page, name] of Object.entries(PACKAGES)) {
  if (pages.includes(page)) boot.load(name).catch(() => undefined);
}

void Promise.all(first.map(insist)).then(() => {
  (require('app') as { run: () => void }).run();
});
