// The shop's own accounts: who is signed in, and what the shop's back end answers.

import { SHOP } from './config';

export interface Account {
  readonly id: string;
  readonly name: string;
  /** The shop's own token; it says nothing to the chat. */
  readonly token: string;
  readonly isFlorist: boolean;
}

const KEY = 'account';

const leaving = new Set<() => void>();

/** Who is signed in; null if nobody is. */
export function account(): Account | null {
  const stored = wx.getStorageSync<Account | ''>(KEY);
  return stored === '' ? null : stored;
}

/** Rejects unless the shop's back end answers. */
export function ask(path: string, data: object): Promise<{ readonly status: number; readonly body: unknown }> {
  return new Promise((resolve, reject) => {
    wx.request({
      url: SHOP + path,
      method: 'POST',
      data,
      success: ({ statusCode, data: body }) => {
        if (statusCode < 500) resolve({ status: statusCode, body });
        else reject(new Error(`the shop answered ${statusCode}`));
      },
      fail: ({ errMsg }) => {
        reject(new Error(errMsg));
      },
    });
  });
}

/** False if the account or the password is wrong. Rejects unless the shop's back end answers. */
export async function signIn(name: string, password: string): Promise<boolean> {
  const { status, body } = await ask('/sign-in', { account: name, password });
  if (status === 200) wx.setStorageSync(KEY, body);
  return status === 200;
}

export function signOut(): void {
  wx.removeStorageSync(KEY);
  for (const listener of leaving) listener();
}

/** Subpackages hear of it so: the main package may not import them. */
export function onSignOut(listener: () => void): void {
  leaving.add(listener);
}
