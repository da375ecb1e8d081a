// Files of unsent chats: kept where they outlive the app.

import { folderName, madeAt, note, type Facts } from './facts';

/** Milliseconds after which a file that is still there belongs to no chat any more. */
const MOST_AGE_MS = 30 * 24 * 3600_000;

function files(): WechatMiniprogram.FileSystemManager {
  return wx.getFileSystemManager();
}

/**
 * Keeps a temporary file until `drop`, also when the app is killed. Resolves to its new path; or to the old one if there
 * is no room, which may not outlive the app.
 */
export async function keep(path: string, name: string, facts: Facts): Promise<string> {
  const folder = `${wx.env.USER_DATA_PATH}/${folderName(facts)}`;
  try {
    await new Promise<void>((resolve, fail) => {
      const success = () => {
        resolve();
      };
      files().mkdir({ dirPath: folder, success, fail });
    });
    const kept = `${folder}/${fit(name)}`;
    await new Promise<void>((resolve, fail) => {
      const success = () => {
        resolve();
      };
      files().saveFile({ tempFilePath: path, filePath: kept, success, fail });
    });
    return kept;
  } catch {
    note(path, facts);
    return path;
  }
}

/** A name that can be part of a path. */
function fit(name: string): string {
  return Array.from(name.replace(/[/\\:*?"<>|%#\r\n\t]+/g, '_')).slice(-80).join('') || 'file';
}

/** Removes a file that `keep` has kept. */
export function drop(path: string): void {
  note(path, null);
  if (madeAt(path) !== null) removeFolder(path.slice(0, path.lastIndexOf('/')));
}

function removeFolder(dirPath: string): void {
  files().rmdir({ dirPath, recursive: true, fail: () => undefined });
}

/** Removes files that no chat needs any more: the app was killed before it could. */
export function sweep(): void {
  const root = wx.env.USER_DATA_PATH;
  files().readdir({
    dirPath: root,
    success: ({ files: names }) => {
      for (const name of names) {
        const made = madeAt(name);
        if (made !== null && Date.now() - made > MOST_AGE_MS) removeFolder(`${root}/${name}`);
      }
    },
    fail: () => undefined,
  });
}
