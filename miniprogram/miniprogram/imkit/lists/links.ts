// Finds what can be tapped in the words of a chat: links, phone numbers, mail addresses, and people who are mentioned.

export interface Part {
  readonly kind: 'text' | 'link' | 'phone' | 'mail' | 'mention';
  readonly text: string;
  /** Where it begins: unique within the text. */
  readonly at: number;
}

/** One is enough to look closer. */
const HINT = /@|:\/\/|www\.|\d{7}|\d{3,4}[- ]\d{3,4}/i;

/** Chinese words and punctuation end a link. */
const LINK = /(?:https?:\/\/|www\.)[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef“”‘’<>"]+/i;
const MAIL = /[\w.%+-]+@[a-z\d-]+(?:\.[a-z\d-]+)*\.[a-z]{2,}/i;
/** Mobile numbers, 400 and 800 numbers, and numbers with an area code. */
const PHONE = /(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}|[48]00-?\d{3}-?\d{4}|0\d{2,3}-\d{7,8}/;
const MENTION = /@[^\s@]+/;

const ALL = new RegExp(`(${LINK.source})|(${MAIL.source})|(${PHONE.source})|(${MENTION.source})`, 'gi');
const KINDS = ['link', 'mail', 'phone', 'mention'] as const;

/** Punctuation at the end of a link belongs to the sentence. */
const TAIL = /[.,;:!?)\]}'*]+$/;

/** The parts of a text. Empty if it has nothing to tap. `hasMentions`: `@` names somebody. */
export function partsOf(text: string, hasMentions: boolean): readonly Part[] {
  if (!HINT.test(text)) return [];
  const parts: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(ALL)) {
    const place = KINDS.findIndex((_, index) => match[index + 1] !== undefined);
    const kind = KINDS[place];
    const found = kind === 'link' ? match[0].replace(TAIL, '') : match[0];
    if (!kind || (kind === 'mention' && !hasMentions) || (kind === 'phone' && isWithin(text, match.index, found))) continue;
    if (match.index > end) parts.push({ kind: 'text', text: text.slice(end, match.index), at: end });
    parts.push({ kind, text: found, at: match.index });
    end = match.index + found.length;
  }
  if (parts.length > 0 && end < text.length) parts.push({ kind: 'text', text: text.slice(end), at: end });
  return parts;
}

/** A part of a longer number is no phone number. */
function isWithin(text: string, index: number, found: string): boolean {
  return /[\w.]$/.test(text.slice(0, index)) || /^(?:\w|\.\d)/.test(text.slice(index + found.length));
}
