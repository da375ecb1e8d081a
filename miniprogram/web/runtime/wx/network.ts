// wx.connectSocket, wx.request, and the state of the network.

import { answer, type Options } from './callbacks';

interface SocketOptions extends Options {
  url: string;
  protocols?: string[];
}

type Listener = (value: object) => void;

export function connectSocket({ url, protocols = [], success, complete }: SocketOptions) {
  const socket = new WebSocket(url, protocols);
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
    onClose: listen('close', (event) => {
      const { code, reason } = event as CloseEvent;
      return { code, reason };
    }),
    onError: listen('error', () => ({ errMsg: 'connectSocket:fail' })),
  };
}

interface RequestOptions extends Options {
  url: string;
  method?: string;
  header?: Record<string, string>;
  data?: string | ArrayBuffer;
  dataType?: string;
  timeout?: number;
}

const fetchText = answer('request', async (options: RequestOptions) => {
  const response = await fetch(options.url, {
    method: options.method ?? 'GET',
    headers: options.header ?? {},
    body: options.data ?? null,
    signal: AbortSignal.timeout(options.timeout ?? 60_000),
  });
  const text = await response.text();
  const data: unknown = (options.dataType ?? 'json') === 'json' ? json(text) : text;
  return { statusCode: response.status, data, header: Object.fromEntries(response.headers) };
});

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
