// What is sent into WeChat when somebody shares a person.

import { texts } from '../imkit/texts/index';

/** A card that opens the chat with this person. Without a picture WeChat would show what is on the screen. */
export function shareOf(userId: string, name: string): WechatMiniprogram.Page.ICustomShareContent {
  const title = texts().person.shared(name);
  return { title, path: `/pages/chat/chat?peer=${userId}`, imageUrl: '/icons/chats-selected.png' };
}
