// Compiles WXSS to one style sheet: converts rpx and tags, and scopes the rules of each page and component.

import postcss, { type Root } from 'postcss';
import selectorParser, { type Root as Selectors } from 'postcss-selector-parser';

import { TAGS } from '../tags';
import { checkUse } from './packages';
import { has, read, resolve, type Project } from './project';

/** The style sheet, and the class prefix of each component that has styles. */
export interface Styles {
  css: string;
  scopes: Record<string, string>;
  /** The style sheets that the one is made of: of the app, under `app`, of pages and components. */
  sheets: Map<string, string>;
}

export function compileStyles(project: Project): Styles {
  const scopes: Record<string, string> = {};
  const sheets = new Map<string, Root>();
  if (has(project, 'app.wxss')) sheets.set('app', sheet(project, 'app.wxss', renameTags));
  let index = 0;
  for (const [part, config] of project.parts) {
    const isolated = config.component && (config.styleIsolation ?? 'isolated') === 'isolated';
    const scope = isolated ? `c${(index++).toString(36)}` : undefined;
    if (scope) scopes[part] = scope;
    if (!has(project, `${part}.wxss`)) continue;
    sheets.set(
      part,
      sheet(project, `${part}.wxss`, (selectors) => {
        renameTags(selectors);
        if (scope) isolate(selectors, scope);
        if (!config.component) fence(selectors, part);
      }),
    );
  }
  const texts = new Map(Array.from(sheets, ([part, each]) => [part, each.toString()]));
  return { css: [...texts.values()].join('\n'), scopes, sheets: texts };
}

/** A file and what it imports. */
function sheet(project: Project, file: string, change: (selectors: Selectors) => void): Root {
  const root = postcss.parse(read(project, file), { from: file });
  root.walkComments((comment) => {
    comment.remove();
  });
  root.walkDecls((declaration) => {
    declaration.value = rpx(declaration.value);
  });
  root.walkRules((rule) => {
    const isFrame = rule.parent?.type === 'atrule' && (rule.parent as postcss.AtRule).name.endsWith("keyframes");
    if (!isFrame) rule.selector = selectorParser(change).processSync(rule.selector);
  });
  root.walkAtRules('import', (rule) => {
    const imported = resolve(file, rule.params.replace(/^url\(|\)$|["']/g, ''));
    checkUse(project.subpackages, file, imported);
    rule.replaceWith(sheet(project, imported, change).nodes);
  });
  return root;
}

/** 750 rpx are the width of the screen. */
export function rpx(value: string): string {
  return value.replace(/(-?[\d.]+)rpx\b/g, 'calc($1 * var(--rpx))');
}

/** `view` is `wx-view` in the DOM, and `page` is `wx-page`. */
function renameTags(selectors: Selectors): void {
  selectors.walkTags((tag) => {
    if (tag.value === 'page' || TAGS.has(tag.value)) tag.value = `wx-${tag.value}`;
  });
}

/** A component's classes get its prefix, and `:host` is the component. */
function isolate(selectors: Selectors, scope: string): void {
  selectors.walkClasses((name) => {
    name.value = `${scope}--${name.value}`;
  });
  selectors.walkPseudos((pseudo) => {
    if (pseudo.value !== ':host') return;
    const host = { attribute: 'wx-host', operator: '=', value: scope, quoteMark: '"', raws: {} } as const;
    pseudo.replaceWith(selectorParser.attribute(host));
  });
}

/** All pages are in one document: scopes a page's rules to it, without changing their specificity. */
function fence(selectors: Selectors, page: string): void {
  const within = `:where(wx-page[is="${page}"])`;
  selectors.each((selector) => {
    const tag = selector.nodes.find((node) => node.type === 'tag' && node.value === 'wx-page');
    if (tag) {
      selector.insertAfter(tag, selectorParser.pseudo({ value: within }));
      return;
    }
    const first = selector.nodes[0];
    if (first) first.spaces.before = '';
    selector.prepend(selectorParser.combinator({ value: ' ' }));
    selector.prepend(selectorParser.pseudo({ value: within }));
  });
}
