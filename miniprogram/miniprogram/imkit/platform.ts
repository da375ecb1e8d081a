// The client core's platform, made of `wx`.

import type { HttpRequest, HttpResponse, Platform, Socket, SocketHandlers, UploadRequest } from './core/index';

/** Milliseconds that a socket may take to open. */
const CONNECT_TIMEOUT_MS = 10_000;

function connect(url: string, protocols: readonly string[], handlers: SocketHandlers): Socket {
  let isClosed = false;
  const closed = (code: number, reason: string) => {
    if (isClosed) return;
    isClosed = true;
    handlers.closed(code, reason);
  };
  const task = wx.connectSocket({
    url,
    protocols: [...protocols],
    timeout: CONNECT_TIMEOUT_MS,
    fail: () => {
      closed(1006, '');
    },
  });
  task.onOpen(() => {
    if (!isClosed) handlers.opened();
  });
  task.onMessage(({ data }) => {
    if (!isClosed && typeof data === 'string') handlers.message(data);
  });
  task.onClose(({ code, reason }) => {
    closed(code, reason);
  });
  // On some phones no `close` follows an error.
  task.onError(() => {
    closed(1006, '');
  });
  return {
    send: (text) => {
      task.send({
        data: text,
        fail: () => {
          // Closed by oneself, it would be for good.
          closed(1006, '');
          task.close({});
        },
      });
    },
    close: (code, reason) => {
      task.close({ code, reason });
    },
  };
}

function request({ method, url, headers, body, timeoutMs }: HttpRequest): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    wx.request({
      method,
      url,
      header: { ...headers },
      ...(body === undefined ? {} : { data: body }),
      // Keeps the answer a text.
      dataType: 'text',
      timeout: timeoutMs,
      success: ({ statusCode, header, data }) => {
        const answered: HttpResponse = {
          status: statusCode,
          headers: header,
          body: typeof data === 'string' ? data : '',
        };
        resolve(answered);
      },
      fail: ({ errMsg }) => {
        reject(new Error(errMsg));
      },
    });
  });
}

function upload({ url, headers, file, fields, timeoutMs, progress }: UploadRequest) {
  let cancel = () => {
    // Replaced once it has begun.
  };
  const done = new Promise<HttpResponse>((resolve, reject) => {
    let received: Record<string, string> = {};
    const task = wx.uploadFile({
      url,
      header: { ...headers },
      filePath: file,
      name: 'file',
      formData: { ...fields },
      timeout: timeoutMs,
      success: ({ statusCode, data }) => {
        resolve({ status: statusCode, headers: received, body: data });
      },
      fail: ({ errMsg }) => {
        if (/not found|no such file/.test(errMsg)) resolve({ status: 404, headers: {}, body: '' });
        else reject(new Error(errMsg));
      },
    });
    task.onHeadersReceived(({ header }) => {
      received = header;
    });
    task.onProgressUpdate((sent) => {
      progress(sent.progress / 100);
    });
    cancel = () => {
      task.abort();
    };
  });
  return {
    done,
    cancel: () => {
      cancel();
    },
  };
}

/** The phone. */
export const platform: Platform = {
  connect,
  request,
  upload,
  storage: {
    get: (key) => {
      const value: unknown = wx.getStorageSync(key);
      return typeof value === 'string' && value !== '' ? value : undefined;
    },
    set: (key, value) => {
      wx.setStorageSync(key, value);
    },
    remove: (key) => {
      wx.removeStorageSync(key);
    },
  },
  clock: {
    now: () => Date.now(),
    after: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => {
        clearTimeout(timer);
      };
    },
  },
  random: () => Math.random(),
};
