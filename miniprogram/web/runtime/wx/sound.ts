// wx.getRecorderManager and wx.createInnerAudioContext.

import { urlOf, temporary } from './files';
import type { Scope } from './privacy';
import { toWav, wav } from './wav';

type Listener<T> = (value: T) => void;

/** Listeners of one event. */
class Event<T = object> {
  private readonly listeners: Listener<T>[] = [];

  readonly on = (listener: Listener<T>): void => {
    this.listeners.push(listener);
  };

  tell(value: T): void {
    for (const listener of this.listeners) listener(value);
  }
}

interface Start {
  /** Milliseconds. */
  duration?: number;
  format?: string;
}

/** A recording of fewer milliseconds may be empty. */
const SHORT_MS = 1000;

/** Milliseconds that WeChat records at most. */
const MOST_MS = 600_000;

function deny(error: unknown): string {
  return (error as Error).name === 'NotAllowedError' ? 'auth deny' : (error as Error).message;
}

/** The one recorder of the app. It makes a WAV whatever the format: browsers make neither MP3 nor AAC. */
export function createRecorder(allow: (scope: Scope, referrer: string) => Promise<void>) {
  const [started, stopped, failed] = [new Event(), new Event(), new Event<{ errMsg: string }>()];
  let recorder: MediaRecorder | undefined;
  /** It was asked to stop before it began. */
  let isOver = false;
  let isBusy = false;

  const record = async (most: number): Promise<object> => {
    await allow('麦克风', 'getRecorderManager');
    const stream = await openMicrophone();
    const made = new MediaRecorder(stream);
    const chunks: Blob[] = [];
    made.ondataavailable = ({ data }) => {
      chunks.push(data);
    };
    const ended = new Promise((resolve) => {
      made.onstop = resolve;
    });
    made.start();
    const from = Date.now();
    recorder = made;
    started.tell({});
    const stop = () => {
      if (made.state !== 'inactive') made.stop();
    };
    const timer = setTimeout(stop, most);
    if (isOver) stop();
    await ended;
    clearTimeout(timer);
    for (const track of stream.getTracks()) track.stop();
    const passed = Math.min(Date.now() - from, most);
    const recording = new Blob(chunks, { type: made.mimeType });
    const { blob, duration } = await toWav(recording, most).catch((error: unknown) => {
      // The recorder has written nothing yet.
      if (passed < SHORT_MS) return { blob: wav(new Float32Array()), duration: passed };
      throw error;
    });
    return { tempFilePath: temporary(blob, 'voice.wav'), duration, fileSize: blob.size };
  };

  return {
    start({ duration = 60_000 }: Start): void {
      if (isBusy) {
        failed.tell({ errMsg: 'operateRecorder:fail is recording or paused' });
        return;
      }
      isBusy = true;
      isOver = false;
      const rest = () => {
        isBusy = false;
        recorder = undefined;
      };
      void record(Math.min(duration, MOST_MS)).then(
        (result) => {
          rest();
          stopped.tell(result);
        },
        (error: unknown) => {
          rest();
          failed.tell({ errMsg: `operateRecorder:fail ${deny(error)}` });
        },
      );
    },
    stop(): void {
      isOver = true;
      if (recorder && recorder.state !== 'inactive') recorder.stop();
    },
    onStart: started.on,
    onStop: stopped.on,
    onError: failed.on,
    /** Nobody calls a browser. */
    onInterruptionBegin: () => undefined,
  };
}

/** Pages without https have no microphone: the browser's type says that it always exists. */
export function openMicrophone(): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) return Promise.reject(new DOMException('no microphone without https', 'NotAllowedError'));
  return devices.getUserMedia({ audio: { channelCount: 1 } });
}

/** Whether the user allows the microphone. */
export async function allowMicrophone(): Promise<void> {
  const stream = await openMicrophone().catch((error: unknown) => {
    throw new Error(deny(error));
  });
  for (const track of stream.getTracks()) track.stop();
}

export function createInnerAudioContext() {
  const audio = new Audio();
  let isDestroyed = false;
  const tell = { play: new Event(), ended: new Event(), stop: new Event(), error: new Event<{ errMsg: string }>() };
  audio.addEventListener('playing', () => {
    tell.play.tell({});
  });
  audio.addEventListener('ended', () => {
    tell.ended.tell({});
  });
  const fail = () => {
    if (!isDestroyed && audio.hasAttribute('src')) tell.error.tell({ errMsg: 'the sound does not play' });
  };
  audio.addEventListener('error', fail);
  const context = {
    src: '',
    play: () => {
      void urlOf(context.src)
        .then(async (url) => {
          if (isDestroyed) return;
          if (audio.src !== url) audio.src = url;
          await audio.play();
        })
        .catch((error: unknown) => {
          // A stop before it began is no failure.
          if ((error as Error).name !== 'AbortError') fail();
        });
    },
    stop: () => {
      audio.pause();
      if (audio.readyState > 0) audio.currentTime = 0;
      tell.stop.tell({});
    },
    destroy: () => {
      isDestroyed = true;
      audio.pause();
      audio.removeAttribute('src');
    },
    onPlay: tell.play.on,
    onEnded: tell.ended.on,
    onStop: tell.stop.on,
    onError: tell.error.on,
  };
  return context;
}
