// Requests of HTTP, version 1: JSON both ways, and what is no success as `ImError`.

import { ImError } from './error';
import type { HttpRequest, Platform, Session } from './types';
import { field, parse, toSession, type Reader } from './wire';

const TIMEOUT_MS = 10_000;

/** The method, and the path with its query. */
export type Route = `${HttpRequest['method']} /v1/${string}`;

/** Asks the service: resolves to the answer's JSON, undefined if it has no body; rejects with `ImError`. */
export type Ask = (route: Route, body?: object, contentType?: string) => Promise<unknown>;

/** Logs in by a name alone, where the service allows it. Rejects with `ImError`. */
export async function loginDemo(platform: Platform, server: string, name: string): Promise<Session> {
  return readable(toSession, await request(platform, server, '', 'POST /v1/login/demo', { name }));
}

/** Logs in with the code that `wx.login` gave. Rejects with `ImError`. */
export async function loginWechat(platform: Platform, server: string, code: string): Promise<Session> {
  return readable(toSession, await request(platform, server, '', 'POST /v1/login/wechat', { code }));
}

/** Asks with a token, or with none if it is empty. A body is sent as JSON, unless its type is given: then it is bytes. */
export async function request(
  platform: Platform,
  server: string,
  token: string,
  ...[route, body, contentType]: Parameters<Ask>
): Promise<unknown> {
  const [method, path] = route.split(' ') as [HttpRequest['method'], string];
  const sent = body && {
    body: contentType ? (body as ArrayBuffer) : JSON.stringify(body),
  };
  const answered = await attempt(() =>
    platform.request({
      method,
      url: server + path,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body && { 'Content-Type': contentType ?? 'application/json' }),
      },
      timeoutMs: TIMEOUT_MS,
      ...sent,
    }),
  );
  const { status, headers } = answered;
  const answer = parse(answered.body);
  if (status >= 200 && status < 300) return answer;
  const code = field(answer, 'code');
  // A proxy's 502 or 504 is as passing as the service's own 503.
  const passes = status === 429 || status > 500;
  throw new ImError(typeof code === 'string' ? code : `http_${status}`, status, passes ? retryAfter(headers) : null);
}

/** What is read of an answer, or the error that says it cannot be. */
export function readable<T>(read: Reader<T>, json: unknown): T {
  const value = read(json);
  if (value === undefined) throw new ImError('unreadable_answer', 200, null);
  return value;
}

async function attempt<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch {
    throw new ImError('network', 0, 0);
  }
}

/** Milliseconds. */
function retryAfter(headers: Readonly<Record<string, string>>): number {
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'retry-after');
  return Math.max(Number(headers[name ?? '']) * 1000 || 0, 1000);
}
