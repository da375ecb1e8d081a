// Writes the compiled mini program into `web/dist`; with `--check`, fails if that is out of date.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { compile } from './compile';

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const dist = here('../dist');
const files = await compile(here('../../miniprogram'), {
  // Whoever opens the page signs in, and then sees the conversations.
  first: ['pages/conversations/conversations', 'pages/sign-in/sign-in'],
  later: { list: ['imkit/components/im-conversations/im-conversations'], chat: ['pages/chat/chat'] },
  languages: { zh: 'imkit/texts/zh.ts', en: 'imkit/texts/en.ts' },
});

if (process.argv.includes('--check')) {
  const names = fs.existsSync(dist) ? fs.readdirSync(dist) : [];
  const stale = [...new Set([...names, ...Object.keys(files)])].filter((name) => {
    const file = path.join(dist, name);
    return !fs.existsSync(file) || !fs.readFileSync(file).equals(Buffer.from(files[name] ?? ''));
  });
  if (stale.length > 0) {
    console.error(`web/dist is out of date: ${stale.join(', ')}. Run \`./dev page\` and commit it.`);
    process.exit(1);
  }
} else {
  fs.rmSync(dist, { recursive: true, force: true });
  fs.mkdirSync(dist, { recursive: true });
  for (const [name, content] of Object.entries(files)) fs.writeFileSync(path.join(dist, name), content);
}
