// Compiles WXML and WXS to the functions that draw a page.

import { createRequire } from 'node:module';

import { TAGS } from '../tags';
import { checkUse } from './packages';
import { has, read, resolve, type Project } from './project';

interface Diagnosis {
  isError: boolean;
  path: string;
  startLine: number;
  startColumn: number;
  message: string;
}

interface TmplGroup {
  addTmpl(path: string, source: string): Diagnosis[];
  addScript(path: string, source: string): void;
  getDirectDependencies(path: string): string[];
  getScriptDependencies(path: string): string[];
  getTmplGenObjectGroups(): string;
}

// The package is CommonJS around WebAssembly; its own types say `any`.
const { TmplGroup } = createRequire(import.meta.url)('glass-easel-template-compiler') as {
  TmplGroup: new () => TmplGroup;
};

/** Tags of the language itself. */
const LANGUAGE: ReadonlySet<string> = new Set(['block', 'import', 'include', 'slot', 'template', 'wxs']);

/** The tags in a template. */
export function tagsOf(project: Project, part: string): Set<string> {
  const source = read(project, `${part}.wxml`).replace(/<!--[^]*?-->/g, '');
  return new Set(Array.from(source.matchAll(/<([a-z][\w-]*)/g), ([, tag = '']) => tag));
}

/** Tags that the runner does not have: they would be empty in the browser. */
function unknownTags(project: Project, part: string): string[] {
  const used = project.parts.get(part)?.usingComponents ?? {};
  return [...tagsOf(project, part)]
    .filter((tag) => !TAGS.has(tag) && !LANGUAGE.has(tag) && !(tag in used))
    .map((tag) => `${part}.wxml: the runner has no <${tag}>`);
}

/** A JavaScript expression: an object with a template for each of the parts. Throws with the places of all errors. */
export function compileTemplates(project: Project, parts: Iterable<string> = project.parts.keys()): string {
  const group = new TmplGroup();
  const seen = new Set<string>();
  const wrong: string[] = [];
  const addScript = (script: string) => {
    if (seen.has(`${script}.wxs`)) return;
    seen.add(`${script}.wxs`);
    // The compiler's module names have no suffix; those in `require` may have one.
    const source = read(project, `${script}.wxs`).replace(
      /require\(\s*(['"])(.+?)\.wxs\1\s*\)/g,
      (_, quote: string, name: string) => {
        addScript(resolve(script, name));
        return `require(${quote}${name}${quote})`;
      },
    );
    group.addScript(script, source);
  };
  const addTemplate = (part: string) => {
    if (seen.has(part)) return;
    seen.add(part);
    if (!has(project, `${part}.wxml`)) throw new Error(`${part}.wxml is missing`);
    // Warnings count as errors: WeChat may refuse what they are about.
    for (const { path, startLine, startColumn, message } of group.addTmpl(
      part,
      read(project, `${part}.wxml`),
    )) {
      wrong.push(`${path}.wxml:${startLine}:${startColumn} ${message}`);
    }
    wrong.push(...unknownTags(project, part));
    const [templates, scripts] = [group.getDirectDependencies(part), group.getScriptDependencies(part)];
    for (const used of [...templates, ...scripts]) checkUse(project.subpackages, `${part}.wxml`, used);
    templates.forEach(addTemplate);
    scripts.forEach(addScript);
  };
  for (const part of parts) addTemplate(part);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return group.getTmplGenObjectGroups();
}
