// Requests of HTTP, version 1: JSON both ways, and what is no success as `ImError`.

import { ImError } from './error';
import { isObject, parse, toSession } from './wire';
import type { HttpRequest, Platform, Session } from './types';

const TIMEOUT_MS = 10_000;

export interface Call {
  readonly method: HttpRequest['method'];
  /** From `/v1/` on, with its query. */
  readonly path: string;
  readonly token?: string;
  readonly json?: unknown;
  readonly bytes?: { readonly body: ArrayBuffer; readonly contentType: string };
}

/** Logs in by a name alone, where the service allows it. Rejects with `ImError`. */
export function loginDemo(platform: Platform, server: string, name: string): Promise<Session> {
  return login(platform, server, 'demo', { name });
}

/** Logs in with the code that `wx.login` gave. Rejects with `ImError`. */
export function loginWechat(platform: Platform, server: string, code: string): Promise<Session> {
  return login(platform, server, 'wechat', { code });
}

async function login(platform: Platform, server: string, how: string, json: object): Promise<Session> {
  return readable(toSession(await request(platform, server, { method: 'POST', path: `/v1/login/${how}`, json })));
}

/** The answer's JSON; undefined for one without a body. Rejects with `ImError`. */
export async function request(platform: Platform, server: string, call: Call): Promise<unknown> {
  const { method, path, token, json, bytes } = call;
  const headers: Record<string, string> = {};
  if (token !== undefined) headers['Authorization'] = `Bearer ${token}`;
  const body = bytes ? bytes.body : json === undefined ? undefined : JSON.stringify(json);
  if (body !== undefined) headers['Content-Type'] = bytes?.contentType ?? 'application/json';
  const { status, headers: answered, body: text } = await platform
    .request({ method, url: server + path, headers, timeoutMs: TIMEOUT_MS, ...(body === undefined ? {} : { body }) })
    .catch(() => {
      throw new ImError('network', 0, 0);
    });
  const answer = parse(text);
  if (status >= 200 && status < 300) return answer;
  const code = isObject(answer) && typeof answer['code'] === 'string' ? answer['code'] : `http_${status}`;
  // A proxy's 502 or 504 is as passing as the service's own 503.
  throw new ImError(code, status, status === 429 || status > 500 ? retryAfter(answered) : null);
}

/** What was read of an answer, or the error that says it could not be. */
export function readable<T>(value: T | null): T {
  if (value === null) throw new ImError('unreadable_answer', 200, null);
  return value;
}

function retryAfter(headers: Readonly<Record<string, string>>): number {
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'retry-after');
  const seconds = name === undefined ? 0 : Number(headers[name]);
  return seconds > 0 ? seconds * 1000 : 1000;
}
