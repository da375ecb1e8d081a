// Shows the mini program of a folder, such as ../examples/embed, in a browser.

import type { AddressInfo } from 'node:net';

import { compile } from './compile';
import { rootOf } from './project';
import { serve } from './serve';

const [folder, port = '8090'] = process.argv.slice(2);
if (folder === undefined) {
  console.error('Name the folder of a mini program: npm run preview -- FOLDER [PORT]');
  process.exit(1);
}
try {
  const server = await serve(await compile(rootOf(folder)), Number(port));
  console.log(`open http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
