// Writes the client core's bundle to the named file.

import fs from 'node:fs';

import { bundle } from './bundle';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('name the file to write: npm run core -- im.min.js');
fs.writeFileSync(file, await bundle());
