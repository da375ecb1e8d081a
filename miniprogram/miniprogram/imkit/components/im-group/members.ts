// The members of a group as a grid, and what a tap on one of them does.

import type { Member, Role } from '../../core/index';
import type { Texts } from '../../texts/index';

/** What a tap on a member does: shows the profile, or what was chosen from a menu. */
export type Mode = 'look' | 'remove' | 'admins' | 'owner' | 'report';

export interface Face {
  readonly id: number;
  readonly name: string;
  readonly avatarUrl: string;
  readonly role: Role;
  /** `群主`, `管理员`, or empty. */
  readonly rank: string;
  /** Whether a tap does anything in this mode. */
  readonly isOpen: boolean;
  readonly label: string;
}

const RANKS: Readonly<Record<Role, number>> = { owner: 2, admin: 1, member: 0 };

/** Whether `mine` may do this to a member with that role. */
export function may(mode: Mode, mine: Role, theirs: Role, isMe: boolean): boolean {
  switch (mode) {
    case 'look':
      return true;
    case 'remove':
      return !isMe && RANKS[mine] > RANKS[theirs];
    case 'admins':
    case 'owner':
      return !isMe && mine === 'owner';
    case 'report':
      return !isMe;
  }
}

export function faceOf({ user, role }: Member, mode: Mode, mine: Role, me: number, { info }: Texts): Face {
  const rank = { owner: info.owner, admin: info.admin, member: '' }[role];
  return {
    id: user.id,
    name: user.name,
    avatarUrl: user.avatarUrl ?? '',
    role,
    rank,
    isOpen: may(mode, mine, role, user.id === me),
    label: [user.name, rank].filter((part) => part !== '').join('，'),
  };
}

/** What the grid says while a member is to be chosen. */
export function hintOf(mode: Mode, { info }: Texts): string {
  return {
    look: '',
    remove: info.chooseRemove,
    admins: info.chooseAdmins,
    owner: info.chooseOwner,
    report: info.chooseReport,
  }[mode];
}
