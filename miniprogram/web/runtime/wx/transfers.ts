// wx.uploadFile and wx.downloadFile.

import { answer, type Options } from './callbacks';
import { nameOf, read, temporary } from './files';
import { requests } from './network';

interface UploadOptions extends Options {
  url: string;
  filePath: string;
  name: string;
  header?: Record<string, string>;
  formData?: Record<string, string>;
  timeout?: number;
}

interface Progress {
  progress: number;
  totalBytesSent: number;
  totalBytesExpectedToSend: number;
}

interface Head {
  header: Record<string, string>;
}

export function uploadFile(options: UploadOptions) {
  const listeners: ((progress: Progress) => void)[] = [];
  const headListeners: ((head: Head) => void)[] = [];
  const running = new AbortController();
  const upload = answer('uploadFile', async (given: UploadOptions) => {
    const { url, filePath, name, header = {}, formData = {}, timeout = 60_000 } = given;
    const blob = await read(filePath).catch(() => {
      throw new Error('file not found');
    });
    const form = new FormData();
    for (const [key, value] of Object.entries(formData)) form.append(key, value);
    form.append(name, blob, nameOf(filePath));
    requests.add(running);
    try {
      const tell = (progress: Progress) => {
        for (const listener of listeners) listener(progress);
      };
      const { head, ...answered } = await post(url, header, form, timeout, running.signal, tell);
      for (const listener of headListeners) listener(head);
      return answered;
    } finally {
      requests.delete(running);
    }
  });
  void upload({ ...options, complete: options.complete ?? (() => undefined) });
  return {
    onProgressUpdate: (listener: (progress: Progress) => void) => {
      listeners.push(listener);
    },
    onHeadersReceived: (listener: (head: Head) => void) => {
      headListeners.push(listener);
    },
    abort: () => {
      running.abort(new Error('abort'));
    },
  };
}

/** `fetch` does not tell how much it has sent. */
function post(
  url: string,
  header: Record<string, string>,
  form: FormData,
  timeout: number,
  signal: AbortSignal,
  tell: (progress: Progress) => void,
): Promise<{ statusCode: number; data: string; head: Head }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    request.timeout = timeout;
    for (const [key, value] of Object.entries(header)) request.setRequestHeader(key, value);
    request.upload.onprogress = ({ loaded, total }) => {
      const progress = Math.floor((100 * loaded) / (total || 1));
      tell({ progress, totalBytesSent: loaded, totalBytesExpectedToSend: total });
    };
    request.onload = () => {
      const header: Record<string, string> = {};
      for (const line of request.getAllResponseHeaders().trim().split('\r\n')) {
        const [name = '', ...value] = line.split(': ');
        header[name] = value.join(': ');
      }
      resolve({ statusCode: request.status, data: request.responseText, head: { header } });
    };
    request.onerror = () => {
      reject(new Error('the network is away'));
    };
    request.ontimeout = () => {
      reject(new Error('timeout'));
    };
    const abort = () => {
      request.abort();
      reject(signal.reason as Error);
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort);
    request.send(form);
  });
}

/** An answer of any status is a file. */
export const downloadFile = answer('downloadFile', async ({ url }: { url: string }) => {
  const response = await fetch(url);
  return { statusCode: response.status, tempFilePath: temporary(await response.blob(), nameOf(url)) };
});
