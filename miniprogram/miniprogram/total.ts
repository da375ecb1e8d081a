// The number of unread chats: at the tab of the list, and in the title of a browser's tab.

import type { ImClient } from './imkit/core/index';
import { badge } from './imkit/lists/rows';

/** Shows it at the tab. WeChat does so only while the bar is on the screen. */
export function showTotal(total: number): void {
  const text = badge(total);
  const fail = () => undefined;
  if (text) wx.setTabBarBadge({ index: 0, text, fail });
  else wx.removeTabBarBadge({ index: 0, fail });
}

/** Follows the client until that is stopped: people see the number from other pages too. */
export function followTotal(client: ImClient): void {
  let last = 0;
  client.subscribe(() => {
    const total = client.connection.phase === 'stopped' ? 0 : client.unreadTotal;
    if (total === last) return;
    last = total;
    showTotal(total);
  });
}
