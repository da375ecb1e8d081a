// Runs a compiled mini program in a browser.

import { loadFramework } from './framework';
import { followFocus } from './held-focus';
import { Packages } from './packages';
import type { Program } from './program';
import { Router } from './router';
import { isLikeWechat } from './like';
import { firstPages } from './trail';
import { createWx } from './wx/index';
import { hidden, shown } from './wx/lifecycle';
import { interrupt } from './wx/network';

/** Milliseconds in the background after which WeChat interrupts an app. */
const BACKGROUND_MS = 5000;

/** The methods of the app that the runner calls. */
interface AppInstance {
  onLaunch?(options: object): void;
  onShow?(options: object): void;
  onHide?(): void;
}

declare global {
  interface Window {
    wx: unknown;
    App: unknown;
    getApp: unknown;
    getCurrentPages: unknown;
    getDate: unknown;
    getRegExp: unknown;
  }
}

export function start(program: Program): void {
  // WXS has these; templates look for them when they are loaded.
  window.getDate = (...parts: ConstructorParameters<typeof Date>) => new Date(...parts);
  window.getRegExp = (source: string, flags?: string) => new RegExp(source, flags);

  const host = document.getElementById('mp');
  if (!host) throw new Error('the document has no #mp');
  document.documentElement.lang = navigator.language;
  followFocus(host);
  const packages = new Packages();
  const framework = loadFramework((path) => {
    void packages.await(path);
  });
  const router = new Router(program, host, packages, framework.createRoot);
  let app: AppInstance = {};
  window.wx = createWx(router);
  window.getApp = () => app;
  window.getCurrentPages = () => router.pages;
  window.App = (definition: AppInstance) => {
    app = definition;
  };

  program.first.scripts.app?.();
  packages.begin(framework, program.first);
  app.onLaunch?.({});
  app.onShow?.({});
  shown();
  void router.start(firstPages()).then(() => {
    packages.preload();
  });
  window.addEventListener('resize', () => {
    router.shown?.resize();
  });
  let timer: ReturnType<typeof setTimeout> | undefined;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    if (document.hidden) {
      if (isLikeWechat) timer = setTimeout(interrupt, BACKGROUND_MS);
      router.shown?.leave();
      app.onHide?.();
      hidden();
    } else {
      app.onShow?.({});
      shown();
      router.shown?.enter();
    }
  });
}
