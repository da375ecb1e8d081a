// Who is signed in on this phone, and the client that speaks for them.

import {
  createClient,
  ImError,
  loginDemo,
  loginWechat,
  type Changes,
  type ImClient,
  type Session,
} from './imkit/core/index';
import { client, show } from './imkit/current';
import { platform } from './imkit/platform';
import { offers } from './platform/offers';
import { server } from './platform/server';
import { followTotal } from './total';

/** How the user signed in: the app can do it again without asking. */
export type Login = { readonly kind: 'wechat' } | { readonly kind: 'demo'; readonly name: string };

/** What survives a restart of the app. */
interface Kept {
  readonly server: string;
  readonly login: Login;
  readonly session: Session;
}

const KEY = 'account';

/** Stored while the user has signed out by hand: then the app does not sign in by itself. */
const LEFT = 'signedOut';

/** Continues the stored session. False if nobody is signed in. */
export function resume(): boolean {
  const account = kept();
  // A session is valid only at the service that gave it.
  if (account?.server !== server()) return false;
  begin(account);
  return true;
}

/** A sign-in without questions that is under way. */
let entering: Promise<boolean> | null = null;

/** Signs in by WeChat without asking, where the service offers that. False if the user has to sign in by hand. */
export function enter(): Promise<boolean> {
  if (client()) return Promise.resolve(true);
  const forget = () => {
    entering = null;
  };
  entering ??= enterQuietly().finally(forget);
  return entering;
}

async function enterQuietly(): Promise<boolean> {
  if (!wx.canIUse('login') || platform.storage.get(LEFT) !== undefined) return false;
  try {
    const { wechatLogin } = await offers(server());
    if (wechatLogin) await signIn({ kind: 'wechat' });
    return wechatLogin;
  } catch {
    // The sign-in page says why, and tries again.
    return false;
  }
}

/** How the user signed in; null if nobody has. */
export function loginKind(): Login['kind'] | null {
  return kept()?.login.kind ?? null;
}

/** The token of the session; empty if nobody is signed in. */
export function token(): string {
  return kept()?.session.token ?? '';
}

/** Signs in. Rejects with `ImError`, or if WeChat gives no code. */
export async function signIn(login: Login): Promise<ImClient> {
  const at = server();
  const session = await logIn(at, login);
  const account: Kept = { server: at, login, session };
  keep(account);
  platform.storage.remove(LEFT);
  return begin(account);
}

/** Ends the session here and at the service. Unsent chats wait for the next sign-in. */
export async function signOut(): Promise<void> {
  const leaving = client();
  show(null);
  platform.storage.remove(KEY);
  platform.storage.set(LEFT, 'true');
  await leaving?.signOut('keep');
}

function kept(): Kept | null {
  const text = platform.storage.get(KEY);
  return text === undefined ? null : (JSON.parse(text) as Kept);
}

function begin(account: Kept): ImClient {
  client()?.stop();
  // A browser does not stop a page that is hidden, as WeChat does.
  const isBrowser = wx.getAccountInfoSync().miniProgram.appId === 'browser';
  const started = createClient({
    server: account.server,
    platform,
    session: account.session,
    login: () => logInAgain(account),
    staysConnected: isBrowser,
  });
  started.subscribe(({ session, connection }: Changes) => {
    if (client() !== started) return;
    if (session) keep({ ...account, session });
    if (connection && started.connection.phase === 'stopped') leave(started.connection.reason);
  });
  followTotal(started);
  show(started, account.server);
  started.start();
  return started;
}

/** Opens the sign-in page when the user has to sign in by hand. */
function leave(reason: string): void {
  if (reason !== 'signed_out' && reason !== 'other_account') return;
  show(null);
  platform.storage.remove(KEY);
  void wx.reLaunch({ url: '/pages/sign-in/sign-in' });
}

function keep(account: Kept): void {
  platform.storage.set(KEY, JSON.stringify(account));
}

async function logIn(at: string, login: Login): Promise<Session> {
  if (login.kind === 'demo') return loginDemo(platform, at, login.name);
  const { code } = await wx.login();
  // A browser has no app id of WeChat's, and the developer tools have one of their own for tourists.
  const { appId } = wx.getAccountInfoSync().miniProgram;
  return loginWechat(platform, at, code, appId.startsWith('wx') ? appId : undefined);
}

/** Replaces a session that ended, in the same way as before; null if the service refuses that. */
async function logInAgain({ server: at, login }: Kept): Promise<Session | null> {
  try {
    return await logIn(at, login);
  } catch (error) {
    if (error instanceof ImError && error.retryAfterMs === null && error.status >= 400) return null;
    throw error;
  }
}
