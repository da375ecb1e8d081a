// The component framework, with the mini program's pages and components in it.

import { component, MiniProgramEnv } from 'glass-easel-miniprogram-adapter';

import { Backend } from './backend';
import { listenToDrops } from './dropped';
import { listenToGestures } from './gestures';
import { listenToMouse } from './mouse';
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

/** What registers a component. */
interface Definition {
  lifetimes?: Partial<Record<'attached' | 'ready' | 'detached', (this: object) => void>>;
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
        if (!gone.has(this)) ready.call(this);
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
  /** Runs the script of each page and component, which registers it. */
  register: () => void;
  /** Draws a page, but does not put it on the screen yet. */
  createRoot: (path: string) => PageRoot;
}

/** The most characters of the JSON of one `setData`: 1,024 KB. */
const MOST_DATA = 1024 * 1024;

/** Has `setData` refuse what is too much for WeChat, and ignore what comes too late. */
function limitData(): void {
  interface Caller {
    setData: (this: object, data: object, callback?: () => void) => void;
  }
  const caller = component.ComponentCaller.prototype as unknown as Caller;
  const { setData } = caller;
  caller.setData = function (data, callback) {
    if (gone.has(this)) return;
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
  listenToMouse();
  listenToDrops();
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
            registrar.Component(living(definition));
          };
          program.scripts[path]?.();
        });
      }
    },
    createRoot: (path) => associated.createRoot('page', code, path),
  };
}
