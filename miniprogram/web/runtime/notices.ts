// Says what is unread while nobody looks at the tab: a phone has its badge and WeChat's messages for that.

import { say } from './language';

/** A frame asks for nothing. */
const isAble = 'Notification' in window && window.parent === window;

let notice: Notification | undefined;
/** Something was missed: the next tap asks whether to say so in future. */
let wantsToAsk = false;

/** More is unread than before; `text` is the number as a badge shows it. */
export function tellUnread(title: string, text: string): void {
  if (!isAble || !document.hidden) return;
  if (Notification.permission === 'default') wantsToAsk = true;
  if (Notification.permission !== 'granted') return;
  // No words of a chat: others may see the screen.
  const shown = new Notification(title, { body: say(`${text} 条未读消息`, `${text} unread`), tag: 'unread' });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
  notice = shown;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) notice?.close();
});

document.addEventListener('click', () => {
  if (!wantsToAsk) return;
  wantsToAsk = false;
  void Notification.requestPermission();
});
