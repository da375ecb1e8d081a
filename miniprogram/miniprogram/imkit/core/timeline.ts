// The cursor: which event number is next, and where the replay after a connect ends.

import { ANSWER_MS } from './limits';
import type { Model } from './model';
import type { Clock } from './platform';
import type { Cursor } from './saved';
import { createTimer } from './timer';

export const createTimeline = (
  { state }: Model,
  clock: Clock,
  /** Replaces the socket. */
  reconnect: () => void,
) => {
  /** The last number of the replay. Infinity: not known yet, or a `reset` has to come first. */
  let end = Infinity;
  const timer = createTimer(clock);

  const caughtUp = (): boolean => (state.cursor?.seq ?? -1) >= end;

  /** Waits for the next event, until the replay has ended. */
  const expect = (): void => {
    timer(ANSWER_MS, caughtUp() ? undefined : reconnect);
  };

  /** Whether the timeline continues from the cursor. If its numbers went back it does not, even in the same epoch. */
  const goesOn = ({ seq, epoch }: Cursor): boolean =>
    state.cursor?.epoch === epoch && state.cursor.seq <= seq;

  return {
    caughtUp,

    /** The service said where the timeline ends. If it does not continue from the cursor, a `reset` comes before events. */
    begin: (last: Cursor): void => {
      state.cursor ??= last;
      end = goesOn(last) ? last.seq : Infinity;
      expect();
    },

    /** The timeline continues from here. Returns whether it is the same history as before. */
    reset: (last: Cursor): boolean => {
      const same = goesOn(last);
      state.cursor = last;
      end = last.seq;
      expect();
      return same;
    },

    /** Moves the cursor to the next number; false if `seq` is not the next one. */
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
