// What the first screen may cost.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { launch } from '../e2e/phone';
import { measure, serve, sum } from './first-screen';

/** Bytes on the wire until somebody can sign in. */
const BUDGET = 80_000;

const [page, browser] = await Promise.all([serve(), launch()]);
after(async () => {
  await browser.close();
  page.close();
});

for (const locale of ['zh-CN', 'en-US']) {
  test(`the first screen is below ${BUDGET} bytes, ${locale}`, async () => {
    const { bytes } = await measure(browser, page.url, false, locale);
    // If these are missing, something else was measured.
    for (const name of ['index.html', 'app.css', 'app.js', 'service']) assert.ok(name in bytes, name);
    const [mine, other] = locale === 'zh-CN' ? ['zh.js', 'en.js'] : ['en.js', 'zh.js'];
    assert.ok(mine in bytes && !(other in bytes), 'one language');
    assert.ok(sum(bytes) < BUDGET, `${sum(bytes)} bytes: ${JSON.stringify(bytes)}`);
  });
}
