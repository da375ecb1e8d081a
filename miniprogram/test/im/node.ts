// The client's platform under Node: real sockets, real HTTP, a storage in memory.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

import { WebSocket } from 'ws';

import type { Platform } from '../../miniprogram/imkit/core/index';

export function nodePlatform(texts = new Map<string, string>()): Platform {
  return {
    connect(url, protocols, handlers) {
      const socket = new WebSocket(url, [...protocols]);
      socket.on('open', () => {
        handlers.opened();
      });
      socket.on('message', (data: Buffer) => {
        handlers.message(data.toString());
      });
      // `close` follows, and is enough.
      socket.on('error', () => undefined);
      socket.on('close', (code, reason) => {
        handlers.closed(code, reason.toString());
      });
      return {
        send: (text) => {
          socket.send(text, () => undefined);
        },
        close: (code, reason) => {
          socket.close(code, reason);
        },
      };
    },
    async request({ method, url, headers, body, timeoutMs }) {
      const signal = AbortSignal.timeout(timeoutMs);
      const answer = await fetch(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
    },
    upload({ url, headers, file, fields, progress, timeoutMs }) {
      const stop = new AbortController();
      const send = async () => {
        const form = new FormData();
        for (const [name, value] of Object.entries(fields)) form.append(name, value);
        form.append('file', new Blob([await readFile(file)]), basename(file));
        const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)]);
        const answer = await fetch(url, { method: 'POST', headers, body: form, signal });
        progress(1);
        return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
      };
      return {
        done: send(),
        cancel: () => {
          stop.abort();
        },
      };
    },
    storage: {
      get: (key) => texts.get(key),
      set: (key, value) => {
        texts.set(key, value);
      },
      remove: (key) => {
        texts.delete(key);
      },
    },
    clock: {
      now: Date.now,
      after: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => {
          clearTimeout(timer);
        };
      },
    },
    random: Math.random,
  };
}
