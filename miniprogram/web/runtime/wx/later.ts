// The second half of `wx`: what no page needs before it is opened. It comes in a package of its own, before any page
// but the first ones. So an app that calls it earlier waits, if the function answers later anyway.

import { secondHalf } from '../packages';
import { answer } from './callbacks';

/** Where an app may save files. */
export const USER_DATA_PATH = 'wxfile://usr';

/** Functions that answer by callbacks or a promise. */
const ASYNC = [
  'authorize',
  'chooseMedia',
  'chooseMessageFile',
  'compressImage',
  'downloadFile',
  'getImageInfo',
  'openDocument',
  'previewMedia',
  'saveFileToDisk',
  'saveImageToPhotosAlbum',
] as const;

/** Functions that return something at once. */
const SYNC = ['createInnerAudioContext', 'getFileSystemManager', 'getRecorderManager', 'uploadFile'] as const;

/** The functions of the second half. */
export type Later = Record<(typeof ASYNC)[number] | (typeof SYNC)[number], (given: never) => unknown>;

type Call = (given: object) => Promise<object>;

/** Stands for the second half until it is there, so that `canIUse` knows it. */
export function standIns(): Later {
  const wx = () => window.wx as Record<string, Call>;
  const waiting = ASYNC.map((name) => {
    const call = async (given: Record<string, unknown>) => {
      await secondHalf();
      // This one's own answer is what the page hears.
      const own = { success: undefined, fail: undefined, complete: undefined };
      return (await wx()[name]?.({ ...given, ...own })) ?? {};
    };
    return [name, answer(name, call)] as const;
  });
  const refusing = SYNC.map((name) => {
    const call = () => {
      throw new Error(`${name} is not there before the first page that is opened`);
    };
    return [name, call] as const;
  });
  const all: (readonly [string, unknown])[] = [...waiting, ...refusing];
  return Object.fromEntries(all) as Later;
}
