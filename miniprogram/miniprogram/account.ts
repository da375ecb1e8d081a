// Who is signed in on this phone, and the client that speaks for them.

import {
  createClient,
  ImError,
  loginDemo,
  loginWechat,
  type Changes,
  type ImClient,
  type Session,
} from './im/index';
import { platform } from './platform/platform';
import { server } from './platform/server';

/** A way to prove who one is, which can be gone again without asking. */
export type Login = { readonly kind: 'wechat' } | { readonly kind: 'demo'; readonly name: string };

/** What is kept over restarts of the app. */
interface Kept {
  readonly server: string;
  readonly login: Login;
  readonly session: Session;
}

const KEY = 'account';

/** The client of whoever is signed in. */
let current: ImClient | null = null;

/** The client of whoever is signed in. */
export function client(): ImClient | null {
  return current;
}

/** Goes on where the app was when it was closed. False if nobody is signed in. */
export function resume(): boolean {
  const text = platform.storage.get(KEY);
  if (text === undefined) return false;
  const kept = JSON.parse(text) as Kept;
  // An account belongs to its service.
  if (kept.server !== server()) return false;
  begin(kept);
  return true;
}

/** Signs in. Rejects with `ImError`, or where WeChat gives no code. */
export async function signIn(login: Login): Promise<ImClient> {
  const at = server();
  const session = await logIn(at, login);
  const kept: Kept = { server: at, login, session };
  keep(kept);
  return begin(kept);
}

/** Ends the session here and at the service. Chats that are not sent wait for the next sign-in. */
export async function signOut(): Promise<void> {
  const leaving = current;
  current = null;
  platform.storage.remove(KEY);
  await leaving?.signOut('keep');
}

function begin(kept: Kept): ImClient {
  current?.stop();
  const started = createClient({
    server: kept.server,
    platform,
    session: kept.session,
    login: () => logInAgain(kept),
  });
  started.subscribe(({ session, connection }: Changes) => {
    if (current !== started) return;
    if (session) keep({ ...kept, session });
    if (connection && started.connection.phase === 'stopped') leave(started.connection.reason);
  });
  current = started;
  started.start();
  return started;
}

/** Back to the sign-in, when only a person can go on. */
function leave(reason: string): void {
  if (reason !== 'signed_out' && reason !== 'other_account') return;
  current = null;
  platform.storage.remove(KEY);
  void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
}

function keep(kept: Kept): void {
  platform.storage.set(KEY, JSON.stringify(kept));
}

async function logIn(at: string, login: Login): Promise<Session> {
  if (login.kind === 'demo') return loginDemo(platform, at, login.name);
  const { code } = await wx.login();
  return loginWechat(platform, at, code);
}

/** A session ended: another one by the same way, or null if that way is closed. */
async function logInAgain({ server: at, login }: Kept): Promise<Session | null> {
  try {
    return await logIn(at, login);
  } catch (error) {
    if (error instanceof ImError && error.retryAfterMs === null && error.status >= 400) return null;
    throw error;
  }
}
