// Writes the client core to the named file as one bundle, or with --package to the named folder as an npm package.

import fs from 'node:fs';

import { bundle } from './bundle';
import { writePackage } from './package';

const [first, second] = process.argv.slice(2);
if (first === '--package') {
  if (second === undefined) throw new Error('name the folder to write: npm run package -- FOLDER');
  await writePackage(second);
} else {
  if (first === undefined) throw new Error('name the file to write: npm run core -- im.min.js');
  fs.writeFileSync(first, await bundle());
}
