// Tells the service what the user has answered about subscribe messages.

import { token } from '../account';
import { platform } from '../imkit/platform';
import { server } from './server';

export interface Grants {
  readonly accepted: readonly string[];
  readonly rejected: readonly string[];
}

/** Rejects if the service does not take it. It is not tried again: each report counts as one more message. */
export async function reportGrants(grants: Grants): Promise<void> {
  const { status } = await platform.request({
    method: 'POST',
    url: `${server()}/v1/wechat/subscriptions`,
    headers: { 'Authorization': `Bearer ${token()}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(grants),
    timeoutMs: 10_000,
  });
  if (status !== 204) throw new Error(`the service answered ${status}`);
}
