// What the service offers, by `GET /v1/service`.

import { platform } from '../imkit/platform';

export interface Offers {
  readonly demoLogin: boolean;
  readonly wechatLogin: boolean;
  /** Whether people can be found by the beginning of their name. */
  readonly directory: boolean;
  /** The templates of WeChat's subscribe messages to ask the user for. */
  readonly subscribeTemplates: readonly string[];
}

/** Rejects if the service does not answer. */
export async function offers(server: string): Promise<Offers> {
  const url = `${server}/v1/service`;
  const answer = await platform.request({ method: 'GET', url, headers: {}, timeoutMs: 10_000 });
  const { demoLogin, wechatLogin, directory, subscribeTemplates = [] } = JSON.parse(answer.body) as Partial<Offers>;
  if (answer.status !== 200) throw new Error(`the service answered ${answer.status}`);
  return {
    demoLogin: demoLogin === true,
    wechatLogin: wechatLogin === true,
    directory: directory === true,
    subscribeTemplates,
  };
}
