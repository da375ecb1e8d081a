// wx.requestSubscribeMessage, and what wx.getSetting says of it.

import { isTapping } from '../gestures';
import { answer, Refusal, type Options } from './callbacks';
import { say } from '../language';
import { overlay } from './dialogs';

type Answer = 'accept' | 'reject';

/** The most templates of one question. */
const MOST_TEMPLATES = 5;

/** The answers that are kept, with 总是保持以上选择. */
const kept: Record<string, Answer> = {};

interface Given extends Options {
  tmplIds?: string[];
}

/** Asks for the templates without a kept answer. Only within a tap, as in WeChat. */
export function requestSubscribeMessage(given?: Given) {
  const isInTap = isTapping();
  return answer('requestSubscribeMessage', ({ tmplIds = [] }: Given) => subscribe(tmplIds, isInTap))(given);
}

async function subscribe(ids: string[], isInTap: boolean): Promise<Record<string, Answer>> {
  if (ids.length === 0) throw new Refusal("TmplIds can't be empty", 10001);
  if (ids.length > MOST_TEMPLATES) throw new Refusal('Templates count out of max bounds', 20003);
  if (!isInTap) throw new Error('can only be invoked by user TAP gesture.');
  const open = ids.filter((id) => !(id in kept));
  const answers = open.length > 0 ? await ask(open) : {};
  return Object.fromEntries(ids.map((id) => [id, kept[id] ?? answers[id] ?? 'reject']));
}

/** WeChat lists the kept answers alone. */
export function subscriptionsSetting(): object {
  return { mainSwitch: true, itemSettings: { ...kept } };
}

function ask(ids: string[]): Promise<Record<string, Answer>> {
  const title = say('申请发送一次以下消息', 'Wants to send this message once');
  return overlay<Record<string, Answer>>('mp-modal mp-subscribe', title, (box, resolve) => {
    const add = <K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = '') => {
      const made = document.createElement(tag);
      made.className = className;
      made.textContent = text;
      return box.appendChild(made);
    };
    add('div', 'mp-modal-title', title);
    for (const id of ids) add('div', 'mp-modal-text', id);
    const label = add('label', 'mp-modal-text');
    const always = document.createElement('input');
    always.type = 'checkbox';
    label.append(always, say('总是保持以上选择，不再询问', 'Keep these choices'));
    const choose = (value: Answer) => () => {
      if (always.checked) for (const id of ids) kept[id] = value;
      resolve(Object.fromEntries(ids.map((id) => [id, value])));
    };
    const buttons = add('div', 'mp-modal-buttons');
    for (const [value, text] of [
      ['reject', say('取消', 'Cancel')],
      ['accept', say('允许', 'Allow')],
    ] as const) {
      const button = buttons.appendChild(document.createElement('button'));
      button.type = 'button';
      button.textContent = text;
      if (value === 'accept') button.className = 'mp-confirm';
      button.addEventListener('click', choose(value));
    }
  }).catch(() => Object.fromEntries(ids.map((id) => [id, 'reject' as const])));
}
