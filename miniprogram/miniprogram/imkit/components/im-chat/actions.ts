// What can be chosen from the menu of a bubble.

import type { ChatItem, Role } from '../../core/index';
import type { Action } from '../bubble-menu/action';
import { forwardable } from './forward';

/** The service lets the sender take a chat back for so long, in milliseconds. */
const RECALL_MS = 120_000;

/** What can be done to a chat, in WeChat's order. `role` is one's own in a group. */
export function actionsOf(item: ChatItem, role: Role | null, now: number): readonly Action[] {
  const { kind, mine, status, recalled, time } = item;
  if (recalled || kind === 'system') return [];
  const copy: readonly Action[] = kind === 'text' ? ['copy'] : [];
  if (status === 'failed') return [...copy, 'resend', 'remove'];
  if (status === 'held') return [...copy, 'remove'];
  if (status !== 'sent') return [...copy, 'cancel'];
  const isRecallable = (mine && now - time < RECALL_MS) || role === 'owner' || role === 'admin';
  return [
    ...copy,
    ...(kind === 'image' ? ['save' as const] : []),
    ...(forwardable(item) ? ['forward' as const] : []),
    'remove',
    'pick',
    'quote',
    ...(isRecallable ? ['recall' as const] : []),
    ...(mine ? [] : ['report' as const]),
  ];
}
