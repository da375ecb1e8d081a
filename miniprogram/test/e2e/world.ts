// A server and a browser for the tests of one file.

import { after, afterEach } from 'node:test';

import { Phone, launch } from './phone';
import { Server } from './server';

export interface World {
  readonly server: Server;
  /** Opens a new phone at the sign-in page, or at this path or URL, and closes it after the test. */
  readonly phone: (look?: Parameters<typeof Phone.open>[2], path?: string) => Promise<Phone>;
  /** Two people who have found each other: 张三's phone shows the chat, 李四's the list, from `path`. */
  readonly pair: (path?: string) => Promise<{ zhang: Phone; li: Phone }>;
}

export async function world(...settings: string[]): Promise<World> {
  const [server, browser] = await Promise.all([Server.start(...settings), launch()]);
  after(async () => {
    await browser.close();
    await server.end();
  });
  const open: Phone[] = [];
  afterEach(async (context) => {
    const phones = open.splice(0);
    if ('passed' in context && !context.passed) await Promise.all(phones.map((phone, at) => phone.keep(`failed-${context.name}-${at + 1}`)));
    await Promise.all(phones.map((phone) => phone.close()));
  });
  const phone: World['phone'] = async (look, path = '/') => {
    const opened = await Phone.open(browser, /^\w+:/.test(path) ? path : server.url + path, look);
    open.push(opened);
    return opened;
  };
  return {
    server,
    phone,
    async pair(path) {
      const [zhang, li] = [await phone(), await phone(undefined, path)];
      await zhang.signIn('张三');
      await li.signIn('李四');
      await zhang.find('李四');
      return { zhang, li };
    },
  };
}
