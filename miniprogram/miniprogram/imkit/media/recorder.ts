// Records a voice while a button is held. The phone has one recorder.

/** Milliseconds that a voice may have. */
export const MOST_MS = 60_000;

/** Milliseconds below which it was no more than a touch. */
const LEAST_MS = 1000;

export interface Listener {
  /** It records now. */
  started(): void;
  done(path: string, durationMs: number): void;
  /** Nothing is sent: it was cancelled or interrupted. */
  cancelled(): void;
  tooShort(): void;
  failed(error: { errMsg: string }): void;
}

interface Take {
  readonly listener: Listener;
  /** The phone records. */
  isStarted: boolean;
  /** What to do when it has stopped. */
  end: 'send' | 'cancel' | null;
}

let manager: WechatMiniprogram.RecorderManager | null = null;
let take: Take | null = null;
/** It begins when the phone has ended the one before. */
let next: Take | null = null;

function recorder(): WechatMiniprogram.RecorderManager {
  if (manager) return manager;
  const made = (manager = wx.getRecorderManager());
  made.onStart(() => {
    if (!take) return;
    take.isStarted = true;
    // It was released before the phone was ready.
    if (take.end) made.stop();
    else take.listener.started();
  });
  made.onStop((result) => {
    const { duration, tempFilePath } = result;
    const ended = proceed();
    if (!ended) return;
    if (ended.end === 'cancel') ended.listener.cancelled();
    else if (duration < LEAST_MS) ended.listener.tooShort();
    else ended.listener.done(tempFilePath, Math.min(duration, MOST_MS));
  });
  made.onError(((error: { errMsg: string }) => {
    const ended = proceed();
    if (ended?.end === 'cancel') ended.listener.cancelled();
    else ended?.listener.failed(error);
    // The type of the listener is wrong in the typings.
  }));
  // A telephone call: what was said until then is not sent unasked.
  made.onInterruptionBegin(() => {
    stop('cancel');
  });
  return made;
}

/** The phone has ended a recording, which this returns. */
function proceed(): Take | null {
  const ended = take;
  take = next;
  next = null;
  if (take) begin();
  return ended;
}

function begin(): void {
  recorder().start({
    duration: MOST_MS,
    sampleRate: 16_000,
    numberOfChannels: 1,
    encodeBitRate: 48_000,
    format: 'mp3',
  });
}

/** Begins to record. False if it records already. */
export function record(listener: Listener): boolean {
  const begun: Take = { listener, isStarted: false, end: null };
  if (next || (take && !take.end)) return false;
  if (take) next = begun;
  else {
    take = begun;
    begin();
  }
  return true;
}

/** Ends the recording. */
export function stop(end: 'send' | 'cancel'): void {
  if (next) {
    const { listener } = next;
    next = null;
    if (end === 'cancel') listener.cancelled();
    else listener.tooShort();
    return;
  }
  if (!take || take.end) return;
  take.end = end;
  if (take.isStarted) recorder().stop();
}
