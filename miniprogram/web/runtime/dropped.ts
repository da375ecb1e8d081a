// Files that are pasted into a text area, or dropped on a page. The text area of the page tells of them by the event
// `files`, which WeChat does not have: there nobody pastes files.

import { temporary } from './wx/files';

const NAME = 'mp-files';

/** Whether files are dragged, and not a text. */
function hasFiles(data: DataTransfer | null): data is DataTransfer {
  return data?.types.includes('Files') ?? false;
}

/** The text area of the page on the screen gets what is dropped anywhere. */
export function listenToDrops(): void {
  document.addEventListener('dragover', (event) => {
    if (hasFiles(event.dataTransfer)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event.dataTransfer)) return;
    // The browser would open the file.
    event.preventDefault();
    const field = document.querySelector('.mp-screen:not([hidden]) wx-textarea');
    field?.dispatchEvent(new CustomEvent(NAME, { detail: [...event.dataTransfer.files] }));
  });
}

/** Tells of pasted and dropped files. */
export function tellFiles(element: HTMLElement, emit: (name: string, detail: unknown) => void): void {
  const tell = (files: File[]) => {
    const tempFiles = files.map((file) => ({
      path: temporary(file, file.name),
      name: file.name,
      size: file.size,
      type: file.type.startsWith('image/') ? 'image' : 'file',
    }));
    if (tempFiles.length > 0) emit('files', { tempFiles });
  };
  element.addEventListener('paste', (event) => {
    const { clipboardData } = event;
    // Office programs put a picture of the text beside it.
    if (!hasFiles(clipboardData) || clipboardData.types.includes('text/plain')) return;
    event.preventDefault();
    tell([...clipboardData.files]);
  });
  element.addEventListener(NAME, (event) => {
    tell((event as CustomEvent<File[]>).detail);
  });
}
