// What an app uses has to be declared in WeChat's console: the runner knows what the release list has declared.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { DECLARED, Privacy } from '../../web/runtime/wx/privacy';

test('what is not declared fails, also for somebody who has agreed', async () => {
  const gate = new Privacy(['头像'], true);
  await gate.allow('头像', 'button.chooseAvatar');
  await assert.rejects(gate.allow('剪切板', 'setClipboardData'), /api scope is not declared in the privacy agreement/);
});

test('the release list names all that has to be declared', () => {
  const readme = fs.readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const line = /Privacy guideline:[^]*?- \[ \]/.exec(readme)?.[0] ?? '';
  for (const scope of DECLARED) assert.ok(line.includes(scope), scope);
});
