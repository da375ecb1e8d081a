// The component framework, with the mini program's pages and components in it.

import { component, MiniProgramEnv } from 'glass-easel-miniprogram-adapter';

import { Backend } from './backend';
import { listenToGestures } from './gestures';
import { defineParts } from './parts/index';
import type { Program } from './program';
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

/** An instance of a component, in its own methods. */
interface Self {
  _$: { $$: HTMLElement | null };
}

interface Definition {
  lifetimes?: { attached?: (this: Self) => void; ready?: (this: Self) => void };
}

/** Calls `ready` when a component that was attached is drawn: the framework does not. */
function withReady(definition: Definition): Definition {
  const { attached, ready } = definition.lifetimes ?? {};
  if (!ready) return definition;
  const lifetimes = {
    ...definition.lifetimes,
    attached(this: Self) {
      attached?.call(this);
      requestAnimationFrame(() => {
        if (this._$.$$?.isConnected) ready.call(this);
      });
    },
  };
  return { ...definition, lifetimes };
}

export interface Framework {
  /** Runs the script of each page and component, which registers it. */
  register: () => void;
  /** Draws a page, but does not put it on the screen yet. */
  createRoot: (path: string) => PageRoot;
}

/** The most characters of the JSON of one `setData`: 1,024 KB. */
const MOST_DATA = 1024 * 1024;

/** Has `setData` refuse what is too much for WeChat. */
function limitData(): void {
  interface Caller {
    setData: (this: object, data: object, callback?: () => void) => void;
  }
  const caller = component.ComponentCaller.prototype as unknown as Caller;
  const { setData } = caller;
  caller.setData = function (data, callback) {
    const { length } = JSON.stringify(data);
    if (length > MOST_DATA) throw new RangeError(`setData of ${length} characters: at most ${MOST_DATA}`);
    setData.call(this, data, callback);
  };
}

export function loadFramework(program: Program): Framework {
  limitData();
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
  const backend = new Backend();
  listenToGestures(backend);
  const associated = env.associateBackend(backend);
  for (const [path, config] of Object.entries(program.parts)) {
    code.addComponentStaticConfig(path, config);
    const scope = program.scopes[path];
    // The styles are in the one style sheet.
    if (scope) code.addStyleSheet(path, undefined, scope);
    const template = { groupList: program.templates, content: program.templates[path] };
    code.addCompiledTemplate(path, template as Parameters<typeof code.addCompiledTemplate>[1]);
  }
  return {
    register() {
      for (const path of Object.keys(program.parts)) {
        code.componentEnv(path, (part) => {
          const registrar = part as unknown as Registrar;
          window.Page = registrar.Page.bind(registrar);
          window.Component = (definition: Definition) => {
            registrar.Component(withReady(definition));
          };
          program.scripts[path]?.();
        });
      }
    },
    createRoot: (path) => associated.createRoot('page', code, path),
  };
}
