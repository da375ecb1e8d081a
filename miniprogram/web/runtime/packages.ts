// Packages: parts of the mini program that come after the first screen. WeChat loads subpackages so.

import type { Define, Framework } from './framework';
import type { Package, PartConfig } from './program';
import type * as second from './second';
import { wait } from './waiting';

/** The package with what the runner needs for all pages but the first. */
const RUNNER = 'wx';

/** Milliseconds after the first screen until the other packages are loaded, so that a later tap finds them. */
const PRELOAD_MS = 1000;

/** Milliseconds until what failed to load is tried again, unless the network comes back before. */
const AGAIN_MS = 30_000;

/** How often a package is asked for before the user is told that it does not come, and the pause in milliseconds. */
const ATTEMPTS = 3;
const PAUSE_MS = 1000;

const { mp } = window;

type Second = typeof second;

/** Defines what the second half of the runner has; set once. */
let define: ((parts: Define) => void) | undefined;

/** The second half of the runner. */
export async function secondHalf(): Promise<Second> {
  await mp.load(RUNNER);
  return installed();
}

function installed(): Second {
  const second = mp.require(RUNNER) as Second;
  if (define) second.install(define);
  return second;
}

export class Packages {
  /** The JSON of the pages and components that are there. */
  readonly parts: Record<string, PartConfig> = {};
  private readonly added = new Set<string>();

  private framework: Framework | undefined;
  /** Components that are on their way. */
  private readonly awaited = new Set<string>();

  /** From now on it takes in what comes. */
  begin(framework: Framework, first: Package): void {
    this.framework = framework;
    define = framework.define;
    if (mp.isLoaded(RUNNER)) installed();
    this.add(first);
  }

  private add(more: Package): void {
    Object.assign(this.parts, more.parts);
    this.framework?.add(more);
  }

  /** Brings a component that is to be drawn, however long that takes. */
  async await(path: string): Promise<void> {
    if (this.awaited.has(path)) return;
    this.awaited.add(path);
    // Who asks is still making the placeholder.
    await Promise.resolve();
    while (!this.has(path)) {
      await this.bring([path]).catch(() => back(AGAIN_MS));
    }
  }

  /** Whether a page can be opened, or a component drawn, now. */
  has(page: string): boolean {
    const name = mp.packages[page];
    if (name === undefined || this.added.has(name)) return true;
    if (!mp.isLoaded(name) || !mp.isLoaded(RUNNER)) return false;
    this.take(name);
    return true;
  }

  /** Loads what some pages need, and asks the user if it does not come. Rejects if the user gives up. */
  async bring(pages: string[]): Promise<void> {
    const isThere = () => pages.every((page) => this.has(page));
    while (!isThere()) {
      await wait(() => Promise.all(pages.map((page) => this.fetch(page))));
    }
  }

  /** Loads all packages, one after the other. */
  preload(): void {
    setTimeout(() => {
      void this.preloadAll();
    }, PRELOAD_MS);
  }

  private async preloadAll(): Promise<void> {
    for (const name of new Set([RUNNER, ...Object.values(mp.packages)])) {
      while (!mp.isLoaded(name)) {
        await mp.load(name).catch(() => back(AGAIN_MS));
      }
    }
  }

  private async fetch(page: string): Promise<void> {
    const names = [RUNNER, mp.packages[page]].filter((name) => name !== undefined);
    for (let left = ATTEMPTS - 1; ; left--) {
      try {
        await Promise.all(names.map((name) => mp.load(name)));
        return;
      } catch (error) {
        if (left === 0 || mp.isStale) throw error;
        await back(PAUSE_MS);
      }
    }
  }

  private take(name: string): void {
    this.added.add(name);
    installed();
    this.add((mp.require(name) as { bundle: Package }).bundle);
  }
}

/** Waits, at most until the network is back. */
function back(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end(): void {
      clearTimeout(timer);
      window.removeEventListener('online', end);
      resolve();
    }
    window.addEventListener('online', end);
  });
}
