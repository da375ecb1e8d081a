// What pages call: the client.

import type { Changes, ChatList, Connection, Conversation, Report, SendResult } from './shown';
import type { BlocksPage, ChatId, Complaint, ConversationKey, Draft, GroupKey, MembersPage, Presence, Role, Settings, User, UserId } from './types';

/**
 * One account on one device. It keeps a socket open, resumes the timeline, and holds what pages show.
 * Nothing here throws because of the network. Reads are cheap: call them while rendering.
 */
export interface ImClient {
  // Life
  /** Connects, and stays connected. Also after `stopped`. */
  start(): void;
  /** Disconnects and stores the state. `start` resumes. */
  stop(): void;
  /** The app came to the front (`onShow`): resumes at once. */
  show(): void;
  /** The app went to the back (`onHide`): closes the socket, unless it `staysConnected`, and stores the state. */
  hide(): void;
  /** `onNetworkStatusChange`. The client assumes a network until this says otherwise. */
  network(connected: boolean): void;
  /**
   * Stops, revokes the session, and removes this account's caches. `unsent` says what to do with unsent chats:
   * `keep` them for the next sign-in, or `discard` them.
   */
  signOut(unsent: 'keep' | 'discard'): Promise<void>;

  // State
  readonly me: User;
  readonly connection: Connection;
  /** `listener` is called after changes, never from within a call to the client. The result unsubscribes. */
  subscribe(listener: (changes: Changes) => void): () => void;
  /** The result unsubscribes. */
  onReport(listener: (report: Report) => void): () => void;

  // Conversations
  /** Pinned ones first, then newest first. Hidden ones, and those that one has left, are not in it. */
  conversations(): readonly Conversation[];
  conversation(key: ConversationKey): Conversation | null;
  /** Whether `loadMoreConversations` would bring older conversations. */
  readonly hasMoreConversations: boolean;
  /** False until the list was loaded once; before that, the stored list is shown. */
  readonly conversationsLoaded: boolean;
  /** Unread chats of all conversations that are neither muted nor hidden: 0 to 99; 100 means more. */
  readonly unreadTotal: number;
  /** Pull to refresh. Rejects with `ImError`. */
  refreshConversations(): Promise<void>;
  /** Rejects with `ImError`. */
  loadMoreConversations(): Promise<void>;

  // One conversation
  /** Keeps this conversation's chats up to date until `close`, which has to be called as often as `open`. */
  open(key: ConversationKey): void;
  close(key: ConversationKey): void;
  /** Of an open conversation; empty if it is not open. */
  chats(key: ConversationKey): ChatList;
  /** Loads 50 chats before the oldest. Resolves at once if there are none, or a call is running. Rejects with `ImError`. */
  loadOlder(key: ConversationKey): Promise<void>;
  /**
   * Stores the chat, then sends it, with retries for as long as it takes. Content is never trimmed. A file is uploaded
   * first; chats of the same conversation wait for it.
   */
  send(key: ConversationKey, what: string | Draft): SendResult;
  /** Sends the failed item of this `ChatItem.key` again, as the newest. False if there is no such item. */
  resend(key: ConversationKey, item: string): boolean;
  /**
   * Removes an unsent item, and cancels its upload. False if there is no such item, or it is in flight. One that was in
   * flight before, or is held, may yet be sent.
   */
  discard(key: ConversationKey, item: string): boolean;
  /** The user has seen all chats that are shown. The read mark is sent soon. */
  markRead(key: ConversationKey): void;
  /** Call it on each input: it is sent at most every 2.5 s, and once more after a chat. */
  typing(key: ConversationKey): void;
  isTyping(key: ConversationKey): boolean;

  // What is done to chats and conversations. All reject with `ImError`; what they change comes with `Changes`.
  /** Takes a chat back for everybody: `too_late`, `forbidden`. */
  recall(id: ChatId): Promise<void>;
  /** Deletes a chat for oneself, on all devices. */
  remove(id: ChatId): Promise<void>;
  /** Saves one's settings of a conversation: what is absent stays. `too_many_pinned`. */
  set(key: ConversationKey, settings: Partial<Settings>): Promise<void>;
  /** Takes a conversation out of the list until its next chat. */
  hideConversation(key: ConversationKey): Promise<void>;
  /** Deletes all chats of a conversation for oneself. */
  clear(key: ConversationKey): Promise<void>;
  report(what: Complaint): Promise<void>;

  // Groups. An action that one's role does not allow is `forbidden`.
  /** `id` makes a repeat return the same group: 1 to 64 printable characters. `too_many_members`. */
  createGroup(group: { readonly title?: string; readonly userIds: readonly UserId[]; readonly id?: string }): Promise<GroupKey>;
  setTitle(key: GroupKey, title: string): Promise<void>;
  /** 100 members after this one: the owner and admins first. */
  members(key: GroupKey, after?: UserId): Promise<MembersPage>;
  addMembers(key: GroupKey, userIds: readonly UserId[]): Promise<void>;
  /** Removes somebody; oneself leaves. */
  removeMember(key: GroupKey, userId: UserId): Promise<void>;
  /** `owner` hands the group over. */
  setRole(key: GroupKey, userId: UserId, role: Role): Promise<void>;

  // People
  /** The people whose presence is on the screen, at most 100; replaces the last list. */
  watch(userIds: readonly UserId[]): void;
  /** Null if it is not known. */
  presence(userId: UserId): Presence | null;
  /** Rejects with `ImError`. */
  findUsers(prefix: string): Promise<readonly User[]>;
  /** Rejects with `ImError`. */
  user(userId: UserId): Promise<User>;
  /** Rejects with `ImError`. */
  block(userId: UserId): Promise<void>;
  /** Rejects with `ImError`. */
  unblock(userId: UserId): Promise<void>;
  /** 100 blocked people after this one, by id. Rejects with `ImError`. */
  blocks(after?: UserId): Promise<BlocksPage>;
  /** Rejects with `ImError`. */
  rename(name: string): Promise<User>;
  /** A PNG, JPEG or WebP of at most 256 KiB. Rejects with `ImError`. */
  setAvatar(image: ArrayBuffer, contentType: string): Promise<User>;
}
