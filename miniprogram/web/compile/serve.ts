// Serves a compiled mini program on this machine, to look at it in a browser.

import { createServer, type Server } from 'node:http';

import type { Files } from './compile';

const TYPES: Record<string, string> = { html: 'text/html', js: 'text/javascript', css: 'text/css', png: 'image/png' };

/** Serves `index.html` at `/`, and the other files below `/page/`, where that one looks for them. */
export function serve(files: Files, port: number): Promise<Server> {
  const server = createServer(({ url = '' }, response) => {
    const { pathname } = new URL(url, 'http://page');
    const name = pathname === '/' ? 'index.html' : pathname.replace('/page/', '');
    const text = Object.hasOwn(files, name) ? files[name] : undefined;
    const type = TYPES[name.split('.').pop() ?? ''] ?? 'text/plain';
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': type.startsWith('text/') ? `${type}; charset=utf-8` : type }).end(text ?? 'not found');
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      resolve(server);
    });
  });
}
