// The place in the timeline: which number is next, and how far the replay after a connect goes.

import { ANSWER_MS } from './limits';
import type { Model } from './model';
import type { Cursor } from './saved';
import { createTimer } from './timer';
import type { Clock } from './types';

export const createTimeline = (
  { state }: Model,
  clock: Clock,
  /** The socket is of no use. */
  reconnect: () => void,
) => {
  /** Up to here events are being made up for. Infinity: nothing is known of the end, or only a `reset` can follow. */
  let end = Infinity;
  const timer = createTimer(clock);

  const caughtUp = (): boolean => (state.cursor?.seq ?? -1) >= end;

  /** Waits for the events up to the end of the replay, or for the next of them. */
  const expect = (): void => {
    if (caughtUp()) timer();
    else timer(ANSWER_MS, reconnect);
  };

  /** Whether these numbers are those of the cursor. Numbers that went back are another history, whatever its name. */
  const goesOn = ({ seq, epoch }: Cursor): boolean =>
    state.cursor?.epoch === epoch && state.cursor.seq <= seq;

  return {
    caughtUp,

    /** The service said where the timeline ends. Another history is followed by a `reset`, and no event before it. */
    begin: (last: Cursor): void => {
      state.cursor ??= last;
      end = goesOn(last) ? last.seq : Infinity;
      expect();
    },

    /** The service goes on from here. Returns whether it is the same history. */
    reset: (last: Cursor): boolean => {
      const same = goesOn(last);
      state.cursor = last;
      end = last.seq;
      expect();
      return same;
    },

    /** Takes the next number; false if it is not the next one. */
    step: (seq: number): boolean => {
      const { cursor } = state;
      if (!cursor || seq <= cursor.seq) return false;
      if (seq > cursor.seq + 1 || end === Infinity) {
        reconnect();
        return false;
      }
      state.cursor = { ...cursor, seq };
      expect();
      return true;
    },

    /** There is no socket. */
    lost: (): void => {
      end = Infinity;
      timer();
    },
  };
};
