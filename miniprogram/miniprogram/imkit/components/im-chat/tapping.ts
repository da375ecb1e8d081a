// Use case: a link, a phone number or a mail address in a chat is tapped.

import { choose } from '../../ask';
import type { Part } from '../../lists/links';
import { texts } from '../../texts/index';
import { copy } from './menu';

/** A mini program can open no link of others, so it copies it. */
async function offer({ kind, text }: Part): Promise<void> {
  const { menu } = texts();
  const copies = { link: menu.link, mail: menu.mail, phone: menu.phone, mention: null, text: null }[kind];
  if (copies === null) return;
  const calls = kind === 'phone' ? [menu.call(text)] : [];
  const chosen = await choose([...calls, copies]);
  if (chosen === null) return;
  if (chosen < calls.length) {
    // The user may cancel the call.
    wx.makePhoneCall({ phoneNumber: text.replace(/[^+\d]/g, '') }).catch(() => undefined);
  } else copy(text);
}

/** Methods of the component. */
export const tapping = {
  onPart({ currentTarget }: WechatMiniprogram.TouchEvent) {
    void offer((currentTarget.dataset as { part: Part }).part);
  },
};
