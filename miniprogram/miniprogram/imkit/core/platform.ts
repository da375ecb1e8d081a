// What is passed in: sockets, HTTP, storage, time and chance, and the options of a client.

import type { Session } from './types';

/** What the client needs from its platform: sockets, HTTP, storage, time and randomness. */
export interface Platform {
  /**
   * Opens a WebSocket. Throws only for arguments that can never work. Handlers are called
   * asynchronously, after `connect` has returned; `closed` exactly once, whether it ever opened or not.
   */
  connect(url: string, protocols: readonly string[], handlers: SocketHandlers): Socket;
  /** Resolves for every status; rejects when there was no answer within `timeoutMs`. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /**
   * Sends a file as `multipart/form-data`, with `fields` before it. Resolves for every status, with 404 if the file is
   * gone; rejects when there was no answer, or after `cancel`.
   */
  upload(request: UploadRequest): { readonly done: Promise<HttpResponse>; readonly cancel: () => void };
  readonly storage: Storage;
  readonly clock: Clock;
  /** A number from 0 to 1, 1 excluded: `Math.random`. It is used for jitter and keys, not for secrets. */
  random(): number;
}

export interface Socket {
  /** Text. Never throws: a socket that cannot send calls `closed` sooner or later. */
  send(text: string): void;
  close(code: number, reason: string): void;
}

export interface SocketHandlers {
  opened(): void;
  message(text: string): void;
  closed(code: number, reason: string): void;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | ArrayBuffer;
  readonly timeoutMs: number;
}

export interface UploadRequest extends HttpRequest {
  /** `Draft.file`, for the form's field `file`. */
  readonly file: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Call it with the part that is sent, from 0 to 1. */
  readonly progress: (part: number) => void;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in upper or lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Keys and texts that survive the app being killed. Only one client at a time may use an account's keys: give
 * each browser tab, each simulated phone, a storage (or a prefix) of its own.
 */
export interface Storage {
  get(key: string): string | undefined;
  /** Throws when there is no room, and then keeps the old value. */
  set(key: string, value: string): void;
  remove(key: string): void;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once after `delayMs`, soon if that is not above 0; the result cancels it. */
  after(delayMs: number, run: () => void): () => void;
}

export interface ClientOptions {
  /** `http://127.0.0.1:8080` or `https://chat.example.com`: no path, no slash at the end. */
  readonly server: string;
  readonly platform: Platform;
  /** The client's account. Another account needs another client, which has its own storage keys. */
  readonly session: Session;
  /**
   * Called when the session is no longer valid. Resolves to a new one, or to null when the user must
   * sign in by hand: the client then stops with `signed_out`. A rejection is tried again after backoff.
   */
  login(): Promise<Session | null>;
  /** 1 to 64 printable characters; if absent, made once and stored. */
  readonly deviceId?: string;
  /** `hide` keeps the socket, and tells the service that nobody looks: for browsers, which do not stop scripts. */
  readonly staysConnected?: boolean;
}
