// The second half of the runner: the entry of its package.

import { listenToDrops } from './dropped';
import type { Define } from './framework';
import { defineSecondParts } from './parts/second';
import { answer } from './wx/callbacks';
import { fileSystem } from './wx/files';
import { privacy } from './wx/index';
import type { Later } from './wx/later';
import { createMedia } from './wx/media';
import { previewMedia } from './wx/preview';
import { allowMicrophone, createInnerAudioContext, createRecorder } from './wx/sound';
import { downloadFile, uploadFile } from './wx/transfers';

export { chooseAvatar } from './wx/avatar';

let isInstalled = false;

/** Completes `wx` and the built-in components. */
export function install(define: (parts: Define) => void): void {
  if (isInstalled) return;
  isInstalled = true;
  define(defineSecondParts);
  listenToDrops();
  const allow = privacy.allow.bind(privacy);
  const recorder = createRecorder(allow);
  const later = {
    ...createMedia(allow),
    createInnerAudioContext,
    downloadFile,
    uploadFile,
    previewMedia,
    getFileSystemManager: () => fileSystem,
    getRecorderManager: () => recorder,
    /** Of the permissions that WeChat asks for one by one, a browser asks for the microphone. */
    authorize: answer('authorize', async ({ scope }: { scope: string }) => {
      if (scope !== 'scope.record') return {};
      await allow('麦克风', 'authorize');
      await allowMicrophone();
      return {};
    }),
  } satisfies Later;
  Object.assign(window.wx as object, later);
}
