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

let entering: Promise<Entry | null> | null = null;

/** Waits until the components have what they show. Null if they have nothing: then the user was told why. */
export function enter(): Promise<Entry | null> {
  entering ??= begin().then((entry) => {
    if (!entry) entering = null;
    return entry;
  });
  return entering;
}

async function begin(): Promise<Entry | null> {
  try {
    const entry = kept() ?? (await fetchEntry());
    if (entry) connect(entry);
    else leave();
    return entry;
  } catch {
    void wx.showToast({ title: '网络不太好，请稍后再试', icon: 'none' });
    return null;
  }
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
  show(null);
  wx.removeStorageSync(KEY);
  void leaving?.signOut('keep');
});

wx.onAppShow(() => client()?.show());
wx.onAppHide(() => client()?.hide());
wx.onNetworkStatusChange(({ isConnected }) => client()?.network(isConnected));
