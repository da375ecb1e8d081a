// What the use cases in this folder share of the component: its state, and how they reach it.

import { client } from '../../current';
import type { ChatItem, ConversationKey, ImClient, Quote } from '../../core/index';
import type { Action } from '../bubble-menu/action';
import type { Box } from '../bubble-menu/place';
import type { Pages } from '../../lists/pages';
import type { PickRow } from '../pick-sheet/row';
import type { DraftKeeper } from './drafts';
import type { End } from './end';
import type { Anchor } from './hold';
import type { Mention } from './mentions';
import type { Face } from './peer';
import type { Unread } from './unread';

/** What lies over the chat; going back closes it. */
export type Over = '' | 'menu' | 'forward' | 'mention' | 'pick';

const NOBODY: Face = { id: 0, name: '', avatarUrl: '' };
const NO_PICTURES: Record<number, string> = {};

/** The state of the use cases. What is drawn is set by `setData`, the rest is only kept. */
export const STATE = {
  over: '' as Over,
  /** The bubble of which the menu is open. */
  target: '',

  // Recalled chats by key, of which the words can be written again.
  again: {} as Record<string, boolean>,
  againTimer: 0,

  // Several chats, by key.
  picked: {} as Record<string, boolean>,
  pickedCount: 0,

  // What waits for a choice from the sheet.
  sheetRows: [] as PickRow[],
  sheetNote: '',
  forwarded: [] as ChatItem[],
  /** The member after whom the next page begins; null at the end. */
  membersAfter: null as number | null,
  isLoadingMembers: false,

  // What is written.
  quote: null as Quote | null,
  /** The quote as it is drawn. */
  quoting: '',
  mentions: [] as readonly Mention[],
  start: '',
  /** The text before the last key. */
  written: '',
  keeper: null as DraftKeeper | null,

  // Where one jumps to.
  unread: null as Unread | null,
  /** The number on the button to the first unread chat; empty: no button. */
  newAbove: '',
  /** The chat under the line. */
  firstNew: '',
  /** The chat that was jumped to. */
  found: '',
  jumpTimer: 0,

  // With whom one talks.
  peer: NOBODY,
  /** Of the members of a group, by user id. */
  pictures: NO_PICTURES,

  // The window.
  scrollTop: 0,
  /** Whether it has the newest chat. */
  isAtEnd: true,
  /** Whether the end of what is drawn is on the screen. */
  isEndSeen: true,
  isArranging: false,
  isArrangeDue: false,
  /** Rows have changed, and are drawn by `arrange`. */
  isDrawDue: false,
  arrangeTimer: 0,
  anchor: null as Anchor | null,
  /** Whether the platform was seen to keep what is on the screen in its place. */
  isAnchored: true,
  /** False once the component is gone. */
  isAlive: true,
};

export interface Composer {
  rest(): void;
  clear(): void;
  /** At the cursor. */
  insert(piece: string): void;
  /** Puts other words into the field. */
  replace(text: string, cursor: number): void;
  focus(): void;
  /** False if it has the focus, or words already: then it stays as it is. */
  fill(text: string): boolean;
}

export interface Menu {
  open(actions: readonly Action[], bubble: Box): void;
  close(): void;
}

/** The component, as the use cases see it. */
export interface Chat {
  readonly data: typeof STATE & {
    conversation: string;
    scrollInto: string;
    end: End;
    readonly isLoaded: boolean;
    readonly hasMore: boolean;
    readonly isLoading: boolean;
  };
  setData(data: Record<string, unknown>, drawn?: () => void): void;
  createSelectorQuery(): WechatMiniprogram.SelectorQuery;
  key(): ConversationKey | null;
  pages(): Pages<ChatItem>;
  setTitle(): void;
  /** The end of what is drawn entered or left the screen. */
  see(isSeen: boolean): void;
  onEdge(pixels: number): void;
  /** Something moved the rows: a list that follows its end goes there. */
  onLayout(): void;
  onOlder(): Promise<void>;
  composer(): Composer;
  menu(): Menu;
  onNewest(): void;
  renewNotice(): void;
}

/** The client and the conversation; null if nobody is signed in. */
export function open(chat: Chat): { readonly client: ImClient; readonly key: ConversationKey } | null {
  const [current, key] = [client(), chat.key()];
  return current && key !== null ? { client: current, key } : null;
}

/** The chat with this key, as it is now. */
export function itemOf(chat: Chat, key: string): ChatItem | undefined {
  const opened = open(chat);
  return opened?.client.chats(opened.key).items.find((item) => item.key === key);
}

/** Shows this over the chat, in place of what is there. */
export function cover(chat: Chat, over: Over): void {
  if (chat.data.over === 'menu' && over !== 'menu') chat.menu().close();
  if (over !== 'pick') chat.setData({ over, picked: {}, pickedCount: 0 });
  else chat.setData({ over });
}
