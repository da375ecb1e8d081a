// wx.connectSocket, wx.request with its limits, and the state of the network.

import { answer, type Options } from './callbacks';

/** The methods that `wx.request` knows; a browser also knows PATCH. */
const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT'];

/** The most requests, and the most sockets, at once. */
const MOST_REQUESTS = 10;
const MOST_SOCKETS = 5;

/** What runs, which the background interrupts. */
export const requests = new Set<AbortController>();
const sockets = new Set<{ interrupt(): void }>();

/** What happens to an app that is in the background: everything unfinished fails. */
export function interrupt(): void {
  for (const each of [...requests]) each.abort(new Error('interrupted'));
  for (const each of [...sockets]) each.interrupt();
}

interface SocketOptions extends Options {
  url: string;
  protocols?: string[];
}

type Listener = (value: object) => void;

export function connectSocket({ url, protocols = [], success, complete }: SocketOptions) {
  if (sockets.size >= MOST_SOCKETS) throw new Error(`connectSocket:fail more than ${MOST_SOCKETS} sockets`);
  const socket = new WebSocket(url, protocols);
  const ends: Listener[] = [];
  const open = {
    interrupt: () => {
      if (!sockets.delete(open)) return;
      socket.close(1000, 'interrupted');
      for (const end of ends) end({ code: 1000, reason: 'interrupted' });
    },
  };
  sockets.add(open);
  socket.addEventListener('close', (event) => {
    if (!sockets.delete(open)) return;
    const { code, reason } = event;
    for (const end of ends) end({ code, reason });
  });
  const listen = (name: string, of: (event: Event) => object) => (listener: Listener) => {
    socket.addEventListener(name, (event) => {
      listener(of(event));
    });
  };
  const result = { errMsg: 'connectSocket:ok' };
  queueMicrotask(() => {
    success?.(result);
    complete?.(result);
  });
  return {
    send: answer('sendSocketMessage', ({ data }: { data: string }) => {
      if (socket.readyState !== WebSocket.OPEN) throw new Error('the socket is not open');
      socket.send(data);
      return {};
    }),
    close: answer('closeSocket', ({ code = 1000, reason = '' }: { code?: number; reason?: string }) => {
      socket.close(code, reason);
      return {};
    }),
    onOpen: listen('open', () => ({ header: {} })),
    onMessage: listen('message', (event) => ({ data: (event as MessageEvent<unknown>).data })),
    onClose: (listener: Listener) => {
      ends.push(listener);
    },
    onError: listen('error', () => ({ errMsg: 'connectSocket:fail' })),
  };
}

interface RequestOptions extends Options {
  url: string;
  method?: string;
  header?: Record<string, string>;
  data?: string | ArrayBuffer | Record<string, unknown>;
  dataType?: string;
  timeout?: number;
}

const fetchText = answer('request', async (options: RequestOptions) => {
  const { method = 'GET', dataType = 'json', timeout = 60_000 } = options;
  if (!METHODS.includes(method)) throw new Error(`invalid method ${method}`);
  if (requests.size >= MOST_REQUESTS) throw new Error('exceed max task count');
  const running = new AbortController();
  requests.add(running);
  const timer = setTimeout(() => {
    running.abort(new Error('timeout'));
  }, timeout);
  try {
    const response = await fetch(options.url + queryOf(options), { method, ...bodyOf(options), signal: running.signal });
    const text = await response.text();
    const data: unknown = dataType === 'json' ? json(text) : text;
    return { statusCode: response.status, data, header: Object.fromEntries(response.headers) };
  } finally {
    clearTimeout(timer);
    requests.delete(running);
  }
});

type Data = Pick<RequestOptions, 'url' | 'method' | 'header' | 'data'>;

function isText(data: RequestOptions['data']): data is string | ArrayBuffer {
  return typeof data === 'string' || data instanceof ArrayBuffer;
}

/** An object that is sent by GET goes into the URL. */
function queryOf({ url, method = 'GET', data }: Data): string {
  if (method !== 'GET' || data === undefined || isText(data)) return '';
  return `${url.includes('?') ? '&' : '?'}${form(data)}`;
}

/** Any other object is sent as JSON, unless the header says that it is a form; without a header, all is JSON. */
function bodyOf({ method = 'GET', header = {}, data }: Data): Pick<RequestInit, 'headers' | 'body'> {
  if (data === undefined || (method === 'GET' && !isText(data))) return { headers: header };
  const type = Object.entries(header).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  const headers = type === undefined ? { ...header, 'content-type': 'application/json' } : header;
  if (isText(data)) return { headers, body: data };
  return { headers, body: type?.startsWith('application/x-www-form-urlencoded') ? form(data) : JSON.stringify(data) };
}

function form(data: Record<string, unknown>): string {
  return new URLSearchParams(Object.entries(data).map(([name, value]) => [name, String(value)])).toString();
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function request(options: RequestOptions): void {
  void fetchText(options);
}

export function onNetworkStatusChange(listener: (status: { isConnected: boolean }) => void): void {
  for (const event of ['online', 'offline']) {
    window.addEventListener(event, () => {
      listener({ isConnected: navigator.onLine });
    });
  }
}
