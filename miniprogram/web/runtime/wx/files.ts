// Files: those just chosen or recorded have `blob:` URLs while the page is open; those that the app has saved are in
// IndexedDB, and survive a reload.

import { answer } from './callbacks';
import { USER_DATA_PATH } from './later';

/** Frames of one tab have keys of their own, as in `storage.ts`. */
const prefix = `${new URLSearchParams(location.search).get('phone') ?? 'tab'}:`;

/** The names of temporary files, by URL. */
const names = new Map<string, string>();

/** The URLs at which saved files are shown, by path. */
const shown = new Map<string, string>();

let opened: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('files', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('files');
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new Error('no storage'));
    };
  });
  return opened;
}

/** Runs one request of IndexedDB; what it wrote is stored when this resolves. */
async function run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const transaction = (await database()).transaction('files', mode);
  const request = ask(transaction.objectStore('files'));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => {
      resolve(request.result);
    };
    transaction.onabort = () => {
      reject(transaction.error ?? new Error('the storage is full'));
    };
  });
}

function isSaved(path: string): boolean {
  return path.startsWith(`${USER_DATA_PATH}/`);
}

/** All paths below a folder. */
function below(folder: string): IDBKeyRange {
  return IDBKeyRange.bound(`${prefix}${folder}/`, `${prefix}${folder}/\uffff`);
}

/** A temporary file. */
export function temporary(blob: Blob, name: string): string {
  const url = URL.createObjectURL(blob);
  names.set(url, name);
  return url;
}

export function nameOf(path: string): string {
  return names.get(path) ?? path.split(/[?#]/)[0]?.split('/').pop() ?? '';
}

/** Rejects if there is no such file. */
export async function read(path: string): Promise<Blob> {
  const missing = new Error(`no such file or directory ${path}`);
  if (isSaved(path)) {
    const blob = await run<unknown>('readonly', (store) => store.get(prefix + path));
    if (!(blob instanceof Blob)) throw missing;
    return blob;
  }
  const response = await fetch(path).catch(() => undefined);
  if (!response?.ok) throw missing;
  return response.blob();
}

/** What a browser can show for a path. */
export async function urlOf(path: string): Promise<string> {
  if (!isSaved(path)) return path;
  const known = shown.get(path);
  if (known !== undefined) return known;
  const url = URL.createObjectURL(await read(path));
  shown.set(path, url);
  return url;
}

interface Choice {
  accept?: string;
  multiple?: boolean;
  /** Opens the camera, where there is one. */
  camera?: boolean;
}

/** Lets the user choose files; none if the user cancels. */
export function chooseFiles({ accept = '', multiple = false, camera = false }: Choice): Promise<File[]> {
  return new Promise((resolve) => {
    const input = document.createElement('input');
    Object.assign(input, { type: 'file', accept, multiple });
    if (camera) input.setAttribute('capture', 'environment');
    input.addEventListener('change', () => {
      resolve([...(input.files ?? [])]);
    });
    input.addEventListener('cancel', () => {
      resolve([]);
    });
    input.click();
  });
}

/** Has the browser save a file. */
export function download(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

interface Saving {
  tempFilePath: string;
  filePath: string;
}

/** The part of `wx.getFileSystemManager()` that the app uses. */
export const fileSystem = {
  readFile: answer('readFile', async ({ filePath }: { filePath: string }) => ({
    data: await (await read(filePath)).arrayBuffer(),
  })),

  getFileInfo: answer('getFileInfo', async ({ filePath }: { filePath: string }) => ({
    size: (await read(filePath)).size,
  })),

  mkdir: answer('mkdir', async ({ dirPath }: { dirPath: string }) => {
    if (!isSaved(dirPath)) throw new Error(`permission denied, open ${dirPath}`);
    await run('readwrite', (store) => store.put('', `${prefix}${dirPath}/`));
    return {};
  }),

  saveFile: answer('saveFile', async ({ tempFilePath, filePath }: Saving) => {
    if (!isSaved(filePath)) throw new Error(`permission denied, open ${filePath}`);
    const folder = filePath.slice(0, filePath.lastIndexOf('/'));
    const isThere = await run('readonly', (store) => store.count(`${prefix}${folder}/`));
    if (isThere === 0) throw new Error(`no such file or directory ${filePath}`);
    const blob = await read(tempFilePath);
    await run('readwrite', (store) => store.put(blob, prefix + filePath));
    return { savedFilePath: filePath };
  }),

  rmdir: answer('rmdir', async ({ dirPath }: { dirPath: string }) => {
    await run('readwrite', (store) => store.delete(below(dirPath)));
    for (const [path, url] of shown) {
      if (!path.startsWith(`${dirPath}/`)) continue;
      URL.revokeObjectURL(url);
      shown.delete(path);
    }
    return {};
  }),

  readdir: answer('readdir', async ({ dirPath }: { dirPath: string }) => {
    const keys = await run('readonly', (store) => store.getAllKeys(below(dirPath)));
    const start = prefix.length + dirPath.length + 1;
    return { files: [...new Set(keys.map((key) => (key as string).slice(start).split('/')[0] ?? ''))] };
  }),
};
