// Chooses people, of those one has talked to and those that a search finds. Emits `done` with `{people}`.

import { client } from '../../current';
import type { ImClient, User } from '../../core/index';
import { setInBatches } from '../../lists/batches';
import { createDrawing, NO_DRAWING } from '../../lists/drawing';
import { replace } from '../../lists/patch';
import { findPeople, hasPart, knownPeople, together, TYPING_PAUSE_MS } from '../../lists/search';
import { texts } from '../../texts/index';

/** What `done` says of somebody. */
export interface Person {
  readonly id: number;
  readonly name: string;
  readonly avatarUrl: string;
}

interface Row extends Person {
  readonly isChosen: boolean;
  readonly isTaken: boolean;
  readonly label: string;
}

const say = texts();

/** Runs until nothing was typed for a moment. People type into one picker at a time. */
let timer = 0;

Component({
  properties: {
    /** Whether the service finds people by name. */
    hasDirectory: Boolean,
    /** The ids of people who cannot be chosen, since they are there already. */
    taken: Array,
  },

  data: {
    say: say.pick,
    hasFailed: false,
    /** Nobody is found. */
    isNone: false,
    text: '',
    rows: [] as Row[],
    chosen: [] as Person[],
    doneText: say.pick.done(0),
  },

  observers: {
    taken() {
      this.draw(this.data.rows);
    },
  },

  lifetimes: {
    attached() {
      const current = client();
      if (!current) return;
      const drawing = createDrawing(() => {
        if (this.data.text === '') this.look(current, '');
      });
      this.drawing = () => drawing;
      this.leave = current.subscribe(({ conversations }) => {
        if (conversations) drawing.draw();
      });
      this.look(current, '');
    },

    detached() {
      clearTimeout(timer);
      this.leave();
    },
  },

  pageLifetimes: {
    show() {
      this.drawing().show();
    },

    hide() {
      this.drawing().hide();
    },
  },

  methods: {
    drawing() {
      return NO_DRAWING;
    },

    leave() {
      // Replaced when there is a client.
    },

    onInput({ detail }: WechatMiniprogram.Input) {
      const current = client();
      if (!current) return;
      const text = detail.value.trim();
      this.look(current, text);
      clearTimeout(timer);
      if (text !== '') timer = setTimeout(() => void this.search(current, text), TYPING_PAUSE_MS);
    },

    onRetry() {
      const current = client();
      if (current) void this.search(current, this.data.text);
    },

    /** Shows who is known already. */
    look(current: ImClient, text: string) {
      const known = knownPeople(current).filter(({ name }) => hasPart(name, text));
      this.setData({ text, hasFailed: false, isNone: text === '' && known.length === 0 });
      this.draw(known.map(personOf));
    },

    /** Adds those whom the service finds. */
    async search(current: ImClient, text: string) {
      this.setData({ hasFailed: false });
      let found: readonly User[] = [];
      let hasFailed = false;
      try {
        found = await findPeople(current, text, this.data.hasDirectory);
      } catch {
        hasFailed = true;
      }
      // Something else was typed meanwhile.
      if (text !== this.data.text) return;
      const people = together(this.data.rows, found.map(personOf)).filter(({ id }) => id !== current.me.id);
      this.setData({ hasFailed, isNone: !hasFailed && people.length === 0 });
      this.draw(people);
    },

    draw(people: readonly Person[]) {
      const taken = new Set(this.data.taken as number[]);
      const chosen = new Set(this.data.chosen.map(({ id }) => id));
      const rows = people.map(({ id, name, avatarUrl }): Row => {
        const [isTaken, isChosen] = [taken.has(id), chosen.has(id)];
        const state = isTaken ? say.pick.isMember : isChosen ? say.pick.isChosen : '';
        return { id, name, avatarUrl, isChosen, isTaken, label: [name, state].filter(Boolean).join('，') };
      });
      setInBatches(this, replace('rows', this.data.rows, rows));
    },

    onChoose({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { index } = currentTarget.dataset as { index: number };
      const row = this.data.rows[index];
      if (!row || row.isTaken) return;
      const { id, name, avatarUrl, isChosen } = row;
      this.choose(isChosen ? without(this.data.chosen, id) : [...this.data.chosen, { id, name, avatarUrl }]);
    },

    onLeaveOut({ currentTarget }: WechatMiniprogram.TouchEvent) {
      const { id } = currentTarget.dataset as { id: number };
      this.choose(without(this.data.chosen, id));
    },

    choose(chosen: Person[]) {
      this.setData({ chosen, doneText: say.pick.done(chosen.length) });
      this.draw(this.data.rows);
    },

    onDone() {
      if (this.data.chosen.length > 0) this.triggerEvent('done', { people: this.data.chosen });
    },
  },
});

function personOf({ id, name, avatarUrl }: User): Person {
  return { id, name, avatarUrl: avatarUrl ?? '' };
}

function without(people: Person[], left: number): Person[] {
  return people.filter(({ id }) => id !== left);
}
