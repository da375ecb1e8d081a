// The chat of whoever is signed in at the shop. The shop's back end gets the sessions: nobody logs in to the chat here.

import { account, ask, onSignOut, signOut } from '../shop';
import { createClient, type Session, type UserId } from './imkit/core/index';
import { client, show } from './imkit/current';
import { platform } from './imkit/platform';

/** What the back end says. */
interface Entry {
  /** Where the chat is. */
  readonly server: string;
  readonly florist: UserId;
  readonly session: Session;
}

/** The last entry is stored with the account that it is for: then the chat opens without waiting for the back end. */
const KEY = 'chat';

/** Milliseconds between attempts: the first wait, which doubles up to the last one. */
const FIRST_WAIT_MS = 1000;
const MOST_WAIT_MS = 15_000;

/** Who is told whether the back end answers, while pages wait for it. */
const waiting = new Set<(hasFailed: boolean) => void>();
let entering: Promise<Entry | null> | null = null;
/** Ends the wait for the next attempt. */
let hurry: (() => void) | null = null;

/**
 * Waits until the components have what they show, and meanwhile tells `show` how that goes. Null if they have nothing:
 * then the user signs in at the shop.
 */
export function enter(show: (hasFailed: boolean) => void): Promise<Entry | null> {
  waiting.add(show);
  // The last attempt may have failed before this page came.
  show(hurry !== null);
  entering ??= begin(account()?.token);
  return entering.finally(() => waiting.delete(show));
}

/** The user, or the network, wants the next attempt now. */
export function retry(): void {
  if (!hurry) return;
  for (const show of waiting) show(false);
  hurry();
}

async function begin(token: string | undefined): Promise<Entry | null> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, MOST_WAIT_MS)) {
    // Somebody else's pages have begun anew.
    if (account()?.token !== token) return null;
    try {
      const entry = kept() ?? (await fetchEntry());
      if (entry) connect(entry);
      else leave();
      return entry;
    } catch {
      for (const show of waiting) show(true);
      await pause(wait);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      hurry = null;
      resolve();
    };
    const timer = setTimeout(end, ms);
    hurry = end;
  });
}

function connect(entry: Entry): void {
  const started = createClient({
    server: entry.server,
    platform,
    session: entry.session,
    // When the session has ended, the client asks for another one.
    login: async () => (await fetchEntry())?.session ?? null,
  });
  started.subscribe(({ connection }) => {
    const now = started.connection;
    if (connection && client() === started && now.phase === 'stopped' && now.reason === 'signed_out') leave();
  });
  show(started, entry.server);
  started.start();
}

/** Null if the shop does not know the user any more. Rejects unless the back end answers. */
async function fetchEntry(): Promise<Entry | null> {
  const who = account();
  if (!who) return null;
  const { status, body } = await ask('/chat', { token: who.token });
  if (account()?.token !== who.token) throw new Error('somebody else has signed in meanwhile');
  if (status !== 200) return null;
  wx.setStorageSync(KEY, { owner: who.id, entry: body });
  return body as Entry;
}

function kept(): Entry | null {
  const stored = wx.getStorageSync<{ owner: string; entry: Entry } | ''>(KEY);
  return stored !== '' && stored.owner === account()?.id ? stored.entry : null;
}

/** The user has to sign in at the shop again. */
function leave(): void {
  signOut();
  void wx.reLaunch({ url: '/pages/account/account' });
}

onSignOut(() => {
  const leaving = client();
  entering = null;
  hurry?.();
  show(null);
  wx.removeStorageSync(KEY);
  void leaving?.signOut('keep');
});

wx.onAppShow(() => {
  retry();
  client()?.show();
});
wx.onAppHide(() => client()?.hide());
wx.onNetworkStatusChange(({ isConnected }) => {
  if (isConnected) retry();
  client()?.network(isConnected);
});
