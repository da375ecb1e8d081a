// The component framework, with the mini program's pages and components in it.

import { component, MiniProgramEnv, type glassEasel } from 'glass-easel-miniprogram-adapter';

import { Backend } from './backend';
import { listenToGestures } from './gestures';
import { listenToMouse } from './mouse';
import { defineParts } from './parts/index';
import type { Package } from './program';
import type { PageRoot } from './screen';

/** The functions that the script of a page or component calls to register it. */
interface Registrar {
  Page(definition: object): void;
  Component(definition: object): void;
}

/** A method that the framework's types leave out. */
interface Preparing {
  prepareComponentOptions(...args: unknown[]): [object, ...unknown[]];
}

declare global {
  interface Window {
    Page: unknown;
    Component: unknown;
  }
}

/** What registers a component. */
interface Definition {
  lifetimes?: Partial<Record<'attached' | 'ready' | 'detached', (this: object) => void>>;
  pageLifetimes?: { hide?: (this: object) => void };
}

/** Components that were removed. */
const gone = new WeakSet();

/** Has a component live as in WeChat: it hears when it is drawn, by `ready`, and draws nothing once it is removed. */
function living(definition: Definition): Definition {
  const { attached, ready, detached } = definition.lifetimes ?? {};
  const lifetimes: Definition['lifetimes'] = {
    ...definition.lifetimes,
    attached() {
      gone.delete(this);
      attached?.call(this);
      if (!ready) return;
      requestAnimationFrame(() => {
        if (gone.has(this)) return;
        // Its page was left before it was there to hear of it.
        if (hiddenScreen(this as Component)) definition.pageLifetimes?.hide?.call(this);
        ready.call(this);
      });
    },
    detached() {
      detached?.call(this);
      gone.add(this);
    },
  };
  return { ...definition, lifetimes };
}

export interface Framework {
  /** Adds pages and components, and runs their scripts, which register them. */
  add: (more: Package) => void;
  define: (parts: Define) => void;
  /** Draws a page, but does not put it on the screen yet. */
  createRoot: (path: string) => PageRoot;
}

/** The most characters of the JSON of one `setData`: 1,024 KB. */
const MOST_DATA = 1024 * 1024;

/** What tests ask about `setData`, as `mpData` of the window. */
const figures = {
  calls: 0,
  /** Bytes of the largest call, and who made it. */
  largest: 0,
  largestOf: '',
  /** Who has called it on a page that is not on the screen, and with which paths. */
  hidden: [] as string[],
};

/** Maximum entries of `hidden`. */
const MOST_NOTED = 50;

interface Caller {
  setData: (this: object, data: object, callback?: () => void) => void;
}

/** What the framework calls a component, as far as `note` needs it. */
interface Component {
  readonly is: string;
  readonly _$: { readonly $$: Element | null };
}

/** Null if its page is on the screen. */
function hiddenScreen(of: Component): Element | null | undefined {
  return of._$.$$?.closest('.mp-screen[hidden]');
}

function note(of: Component, data: object, text: string): void {
  figures.calls += 1;
  // No more bytes than three a unit of UTF-16.
  if (text.length * 3 > figures.largest) {
    const bytes = encodeURIComponent(text).replace(/%../g, ' ').length;
    if (bytes > figures.largest) Object.assign(figures, { largest: bytes, largestOf: of.is });
  }
  if (hiddenScreen(of) && figures.hidden.length < MOST_NOTED) figures.hidden.push(`${of.is}: ${Object.keys(data).join(' ')}`);
}

/** Has `setData` refuse what is too much for WeChat, and ignore what comes too late. */
function limitData(): void {
  Object.assign(window, { mpData: figures });
  const caller = component.ComponentCaller.prototype as unknown as Caller;
  const { setData } = caller;
  caller.setData = function (data, callback) {
    if (gone.has(this)) return;
    const text = JSON.stringify(data);
    note(this as Component, data, text);
    if (text.length > MOST_DATA) throw new RangeError(`setData of ${text.length} characters: at most ${MOST_DATA}`);
    setData.call(this, data, callback);
  };
}

/** Has what a page asks about positions be answered as in WeChat: later, when what was set before is on the screen. */
function delayQueries(): void {
  interface Query {
    exec(answer?: (all: unknown[]) => void): unknown;
  }
  const caller = component.ComponentCaller.prototype as unknown as { createSelectorQuery: (this: object) => Query };
  const { createSelectorQuery } = caller;
  caller.createSelectorQuery = function () {
    const query = createSelectorQuery.call(this);
    const exec = query.exec.bind(query);
    query.exec = (answer) => {
      // The browser moves what is anchored after the callbacks of a frame.
      requestAnimationFrame(() => setTimeout(exec, 0, answer));
    };
    return query;
  };
}

/** Defines built-in components. */
export type Define = (space: glassEasel.ComponentSpace) => void;

/** `bring` is called with a component that a placeholder stands for, when it is to be drawn. */
export function loadFramework(bring: (path: string) => void): Framework {
  limitData();
  delayQueries();
  const env = new MiniProgramEnv();
  const code = env.createCodeSpace('', true);
  const space = code.getComponentSpace();
  // A component's property may have the same name as a field of its node.
  space.updateComponentOptions({ writeFieldsToNode: false });
  // Keeps the ids of the source, for `#id` in WXSS.
  const preparing = code as unknown as Preparing;
  const prepare = preparing.prepareComponentOptions.bind(code);
  preparing.prepareComponentOptions = (...args) => {
    const prepared = prepare(...args);
    Object.assign(prepared[0], { writeIdToDOM: true, idPrefixGenerator: null });
    return prepared;
  };
  defineParts(space);
  space.setComponentWaitingListener((_isPublic, path) => {
    bring(path);
  });
  const backend = new Backend();
  listenToGestures(backend);
  listenToMouse();
  const associated = env.associateBackend(backend);
  const known = new Set<string>();
  return {
    add({ parts, scopes, templates, scripts }) {
      const added = Object.entries(parts).filter(([path]) => !known.has(path));
      for (const [path, config] of added) {
        known.add(path);
        code.addComponentStaticConfig(path, config);
        const scope = scopes[path];
        // The styles are in a style sheet of the document.
        if (scope) code.addStyleSheet(path, undefined, scope);
        const template = { groupList: templates, content: templates[path] };
        code.addCompiledTemplate(path, template as Parameters<typeof code.addCompiledTemplate>[1]);
      }
      // Placeholders are replaced when all of it is there.
      space.startGroupRegister();
      for (const [path] of added) {
        code.componentEnv(path, (part) => {
          const registrar = part as unknown as Registrar;
          window.Page = registrar.Page.bind(registrar);
          window.Component = (definition: Definition) => {
            registrar.Component(living(definition));
          };
          scripts[path]?.();
        });
      }
      space.endGroupRegister();
    },
    define: (parts) => {
      parts(space);
    },
    createRoot: (path) => associated.createRoot('page', code, path),
  };
}
