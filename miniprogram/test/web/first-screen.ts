// The first screen of the page, measured in a browser: the compiled files, compressed as the service compresses them,
// from a server of its own, so that the figures need no build of the service.

import fs from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

import type { Browser } from 'playwright-core';

const DIST = process.env.IMSERVER_PAGE ?? fileURLToPath(new URL('../../web/dist/', import.meta.url));

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

/** 1.6 Mbit/s and 150 ms for each answer: what browsers call a slow fourth generation. */
const SLOW = { offline: false, latency: 150, downloadThroughput: 200_000, uploadThroughput: 200_000 };

export interface FirstScreen {
  /** What came until the field could be used, with the heads of the answers; by file. */
  bytes: Record<string, number>;
  /** Milliseconds from the start of the navigation until then. */
  ms: number;
}

export interface Page {
  url: string;
  close: () => void;
}

/** Serves the page, and a service that lets people in by their names. */
export async function serve(): Promise<Page> {
  const bodies = new Map<string, Buffer>();
  for (const name of fs.readdirSync(DIST)) {
    bodies.set(name, zlib.brotliCompressSync(fs.readFileSync(path.join(DIST, name))));
  }
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/v1/service') {
      const offers = { demoLogin: true, wechatLogin: false, directory: true, subscribeTemplates: [] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(offers));
      return;
    }
    const name = pathname === '/' ? 'index.html' : path.basename(pathname);
    const body = bodies.get(name);
    const type = TYPES[path.extname(name)] ?? 'application/octet-stream';
    if (body) response.writeHead(200, { 'content-type': type, 'content-encoding': 'br' }).end(body);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${port}/`, close };
}

/** Opens the page with nothing in the cache, until the field of the sign-in page can be used. */
export async function measure(browser: Browser, url: string, isSlow: boolean, locale = 'zh-CN'): Promise<FirstScreen> {
  const context = await browser.newContext({ viewport: { width: 375, height: 812 }, locale });
  const page = await context.newPage();
  // The next packages come when nobody waits any more: they are no part of this.
  await page.addInitScript(stopAtField);
  const devTools = await context.newCDPSession(page);
  await devTools.send('Network.enable');
  await devTools.send('Network.setCacheDisabled', { cacheDisabled: true });
  if (isSlow) await devTools.send('Network.emulateNetworkConditions', SLOW);
  const files = new Map<string, string>();
  const ended = new Map<string, { bytes: number; at: number }>();
  devTools.on('Network.requestWillBeSent', ({ requestId, request }) => {
    files.set(requestId, path.basename(new URL(request.url).pathname) || 'index.html');
  });
  devTools.on('Network.loadingFinished', ({ requestId, encodedDataLength, timestamp }) => {
    ended.set(requestId, { bytes: encodedDataLength, at: timestamp });
  });
  const begun = new Promise<number>((resolve) => {
    devTools.once('Network.requestWillBeSent', ({ timestamp }) => {
      resolve(timestamp);
    });
  });
  await page.goto(url, { waitUntil: 'commit' });
  const field = await page.waitForFunction(() => (window as unknown as { fieldAt?: number }).fieldAt, undefined, {
    polling: 100,
    timeout: 120_000,
  });
  const ms = (await field.jsonValue()) ?? 0;
  const until = (await begun) + ms / 1000;
  const came = [...ended].filter(([, { at }]) => at <= until);
  await context.close();
  return { bytes: Object.fromEntries(came.map(([id, { bytes }]) => [files.get(id) ?? '', bytes])), ms };
}

/** Runs in the page: notes when the field is there, in milliseconds after the navigation began. */
function stopAtField(): void {
  const watch = new MutationObserver(() => {
    const field = document.querySelector<HTMLInputElement>('.mp-screen:not([hidden]) wx-input input');
    if (!field || field.disabled) return;
    watch.disconnect();
    // It is on the screen with the next frame.
    requestAnimationFrame(() => {
      setTimeout(() => {
        Object.assign(window, { fieldAt: performance.now() });
      });
    });
  });
  watch.observe(document, { childList: true, subtree: true });
}

export function sum(bytes: Record<string, number>): number {
  return Object.values(bytes).reduce((all, each) => all + each, 0);
}
