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
import { server } from './platform/server';

/** How the user signed in: the app can do it again without asking. */
export type Login = { readonly kind: 'wechat' } | { readonly kind: 'demo'; readonly name: string };

/** What survives a restart of the app. */
interface Kept {
  readonly server: string;
  readonly login: Login;
  readonly session: Session;
}

const KEY = 'account';

/** Continues the stored session. False if nobody is signed in. */
export function resume(): boolean {
  const text = platform.storage.get(KEY);
  if (text === undefined) return false;
  const kept = JSON.parse(text) as Kept;
  // A session is valid only at the service that gave it.
  if (kept.server !== server()) return false;
  begin(kept);
  return true;
}

/** Signs in. Rejects with `ImError`, or if WeChat gives no code. */
export async function signIn(login: Login): Promise<ImClient> {
  const at = server();
  const session = await logIn(at, login);
  const kept: Kept = { server: at, login, session };
  keep(kept);
  return begin(kept);
}

/** Ends the session here and at the service. Unsent chats wait for the next sign-in. */
export async function signOut(): Promise<void> {
  const leaving = client();
  show(null);
  platform.storage.remove(KEY);
  await leaving?.signOut('keep');
}

function begin(kept: Kept): ImClient {
  client()?.stop();
  const started = createClient({
    server: kept.server,
    platform,
    session: kept.session,
    login: () => logInAgain(kept),
    // A browser does not stop a page that is hidden, as WeChat does.
    staysConnected: wx.getAccountInfoSync().miniProgram.appId === 'browser',
  });
  started.subscribe(({ session, connection }: Changes) => {
    if (client() !== started) return;
    if (session) keep({ ...kept, session });
    if (connection && started.connection.phase === 'stopped') leave(started.connection.reason);
  });
  show(started);
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

function keep(kept: Kept): void {
  platform.storage.set(KEY, JSON.stringify(kept));
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
