// Requests of HTTP, version 1: JSON both ways; failures are `ImError`.

import { ImError } from './error';
import { REQUEST_MS, UPLOAD_MS } from './limits';
import type { HttpRequest, HttpResponse, Platform } from './platform';
import type { Session } from './types';
import { field, parse, text, toJson, toSession, type Reader } from './wire';

/** The method, and the path with its query. */
export type Route = `${HttpRequest['method']} /v1/${string}`;

/** The type of the body's bytes if it is not JSON, or what sends it. */
type How = string | ((request: HttpRequest) => Promise<HttpResponse>);

/** Resolves to the answer's JSON, undefined if it has no body; rejects with `ImError`. */
export type Ask = (route: Route, body?: object, how?: How) => Promise<unknown>;

/** Logs in by a name alone, where the service allows it. Rejects with `ImError`. */
export const loginDemo = (platform: Platform, server: string, name: string): Promise<Session> => login(platform, server, 'demo', { name });

/** Logs in with the code that `wx.login` gave in the mini program `appid`, by default the service's first. Rejects with `ImError`. */
export const loginWechat = (platform: Platform, server: string, code: string, appid?: string): Promise<Session> => login(platform, server, 'wechat', { code, 'appid': appid });

/** Logs in with a token of the company's own back end. Rejects with `ImError`. */
export const loginToken = (platform: Platform, server: string, token: string): Promise<Session> => login(platform, server, 'token', { token });

const login = async (platform: Platform, server: string, how: string, body: object): Promise<Session> => readable(toSession, await request(platform, server, '', `POST /v1/login/${how}`, body));

/** An empty `token` sends none. */
export const request = async (
  platform: Platform,
  server: string,
  token: string,
  ...[route, body, how]: Parameters<Ask>
): Promise<unknown> => {
  const [method, path] = route.split(' ') as [HttpRequest['method'], string];
  const uploads = typeof how === 'function';
  const sent: HttpRequest = {
    method,
    url: server + path,
    headers: { ...(token && { 'Authorization': `Bearer ${token}` }), ...(body && !uploads && { 'Content-Type': how ?? 'application/json' }) },
    timeoutMs: uploads ? UPLOAD_MS : REQUEST_MS,
    ...(body && { body: how ? (body as ArrayBuffer) : toJson(body) }),
  };
  let answered;
  try {
    answered = await (uploads ? how(sent) : platform.request(sent));
  } catch {
    throw new ImError('network', 0, 0);
  }
  const { status, headers } = answered;
  const answer = parse(answered.body);
  if (status >= 200 && status < 300) return answer;
  // A proxy's 502 or 504 is as temporary as the service's 503.
  const passes = status === 429 || status > 500;
  const seconds = Number(/"retry-after":"(\d+)/i.exec(toJson(headers))?.[1]);
  throw new ImError(text(field(answer, 'code')) ?? `http_${status}`, status, passes ? seconds * 1000 || 1000 : null);
};

/** Reads an answer, or throws `unreadable_answer`. */
export const readable = <T>(read: Reader<T>, json: unknown): T => {
  const value = read(json);
  if (value === undefined) throw new ImError('unreadable_answer', 200, null);
  return value;
};
