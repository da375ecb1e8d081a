// What keeps somebody from using a page: axe looks at every page and state. With `SHOTS=all` each is photographed too,
// in the size of a phone and of a desktop.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import type axe from 'axe-core';

import { DESKTOP, eventually, PHONE, type Phone } from './phone';
import { tour, type Look } from './tour';
import { world } from './world';

const here = await world('limits.enabled=false');

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds serious or critical, a line each. */
async function findings(of: Phone): Promise<string[]> {
  await of.page.evaluate((source) => {
    // The page's policy forbids scripts in the page, but not this one.
    if (!('axe' in window)) (0, eval)(source);
  }, AXE);
  return of.page.evaluate(async () => {
    const { axe: tool } = window as unknown as { axe: typeof axe };
    const { violations } = await tool.run(document, {
      resultTypes: ['violations'],
      rules: {
        // It wants the visible text as one piece, in the order of the tree, with the letter that stands for a missing
        // picture. Labels say it in the order in which people read a row. `unsaid` looks for each piece instead.
        'label-content-name-mismatch': { enabled: false },
      },
    });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary, html }) => `${id}: ${target.join(' ')} ${html.slice(0, 100)} ${failureSummary ?? ''}`.replace(/\s+/g, ' ')));
  });
}

/** What is written on a button, but left out of its label: whoever speaks to the phone says what is written. */
function unsaid(of: Phone): Promise<string[]> {
  return of.page.evaluate(() => {
    const found: string[] = [];
    for (const each of document.querySelectorAll('[role=button][aria-label], [role=menuitem][aria-label]')) {
      if (!each.checkVisibility() || each.closest('[inert]')) continue;
      const texts = document.createTreeWalker(each, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const { textContent, parentElement } = texts.currentNode;
        const words = textContent?.trim() ?? '';
        // Signs such as × are pictures.
        const isWord = /[\p{L}\p{N}]/u.test(words) && !parentElement?.closest('[aria-hidden=true]');
        if (isWord && !each.ariaLabel?.includes(words)) found.push(`unsaid: ${words} of ${each.ariaLabel}`);
      }
    }
    return found;
  });
}

/** Whether all that moves has come to rest, besides what turns for ever and what comes late. */
function still(of: Phone): Promise<boolean> {
  return of.page.evaluate(() =>
    document.getAnimations().every(({ effect }) => {
      const { iterations, delay } = effect?.getTiming() ?? {};
      return iterations === Infinity || Number(delay) >= 1000;
    }),
  );
}

const all: Look[] = ['zh-CN', 'en-US'].flatMap((locale) => [false, true].map((dark) => ({ locale, dark })));
const looks = process.env.SHOTS === 'all' ? [PHONE, DESKTOP].flatMap((viewport) => all.map((look) => ({ ...look, viewport }))) : all;

for (const look of looks) {
  const name = `${look.locale}-${look.dark ? 'dark' : 'light'}${look.viewport ? `-${look.viewport.width}` : ''}`;
  test(`every page and state, ${name}`, async () => {
    /** The stops by what is found there. */
    const found = new Map<string, string[]>();
    await tour(here, look, async (of, stop) => {
      await eventually('nothing moves', () => still(of));
      if (process.env.SHOTS === 'all') await of.shoot(`tour-${stop}-${name}`);
      for (const each of [...(await findings(of)), ...(await unsaid(of))]) found.set(each, [...(found.get(each) ?? []), stop]);
    });
    assert.deepEqual([...found].map(([each, stops]) => `${each} at ${stops.join(', ')}`), []);
  });
}
