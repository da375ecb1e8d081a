// The server API, as the console uses it. The key is kept here and nowhere else.

/** What a key may do. */
export const SCOPES = [
  'users',
  'sessions',
  'chats',
  'conversations',
  'moderation',
  'feed',
  'webhooks',
  'audit',
  'status',
  'all',
] as const;

export type Scope = (typeof SCOPES)[number];

export interface Key {
  id: number;
  name: string;
  scopes: Scope[];
  createTime: string;
  lastUseTime: string | null;
  revokeTime: string | null;
}

export interface Status {
  version: string;
  status: string;
  reasons: string[];
  startTime: string;
  sockets: number;
  sends: number;
  held: number;
  reports: number;
  webhooksWaiting: number;
  webhooksDead: number;
  outboxLagMs: number | null;
}

export interface Chat {
  id: number;
  userId: number;
  userName?: string;
  conversationId: number;
  kind: string;
  content: string;
  body?: Record<string, unknown>;
  state?: string;
  createTime: string;
}

export interface Held {
  id: number;
  createTime: string;
  userId: number;
  userName: string | null;
  targetUserId?: number;
  targetUserName?: string;
  conversationId?: number;
  kind: string;
  content: string;
  body?: Record<string, unknown>;
}

export interface Report {
  id: number;
  createTime: string;
  userId: number;
  userName: string | null;
  reportedUserId: number;
  reportedUserName: string | null;
  chatId?: number;
  chat?: Chat;
  reason: string;
  detail?: string;
}

export interface Person {
  id: number;
  name: string;
  externalId?: string;
  createTime: string;
  restriction: { kind: 'muted' | 'banned'; until: string | null; reason: string | null } | null;
}

/** A conversation without what was said there. */
export interface Talk {
  id: number;
  kind: string;
  externalId?: string;
  title?: string | null;
  memberCount?: number;
  peerId?: number;
  peerName?: string;
  left?: boolean;
  position?: number;
}

export interface Endpoint {
  name: string;
  host: string;
  kinds: string[];
  offSince: string | null;
  waiting: number;
  dead: number;
}

export interface Delivery {
  id: string;
  type: string;
  timestamp: string;
  state: 'due' | 'dead';
  attempts: number;
  nextTime?: string;
  lastFailure: string | null;
}

export interface AuditEntry {
  id: number;
  createTime: string;
  keyId: number | null;
  keyName: string | null;
  action: string;
  subject: string | null;
  reason: string | null;
  outcome: string | null;
}

/** A part of a list. */
export interface Page<T> {
  items: T[];
  hasMore: boolean;
}

/** What went wrong: a problem of the API, or `network` where there was no answer. */
export class Fault extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
  ) {
    super(code);
  }
}

type Query = Record<string, string | number | undefined>;

/** Milliseconds that an answer may take; an erasure reads everything that a user has said. */
const WAIT = 60_000;

export class Api {
  constructor(
    private readonly key: string,
    /** Called when the key is refused. */
    private readonly onRefused: () => void = () => undefined,
  ) {}

  async get<T>(path: string, query: Query = {}): Promise<T> {
    return (await (await this.fetch('GET', path, query)).json()) as T;
  }

  /** A list whose answer has it under `name`. */
  async page<T>(path: string, name: string, query: Query): Promise<Page<T>> {
    const answer = await this.get<Record<string, unknown> & { hasMore?: boolean }>(path, query);
    return { items: answer[name] as T[], hasMore: answer.hasMore ?? false };
  }

  async send<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<T> {
    const answer = await this.fetch(method, path, {}, body);
    const text = await answer.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** A file; however long it takes. */
  async file(path: string): Promise<Blob> {
    const answer = await this.fetch('GET', path, {}, undefined, null);
    try {
      return await answer.blob();
    } catch {
      throw new Fault('network', '');
    }
  }

  private async fetch(
    method: string,
    path: string,
    query: Query,
    body?: object,
    wait: number | null = WAIT,
  ): Promise<Response> {
    const asked = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== '') asked.set(name, String(value));
    }
    const url = `/v1/admin${path}${asked.size > 0 ? `?${asked}` : ''}`;
    const headers: Record<string, string> = { authorization: `Bearer ${this.key}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let answer: Response;
    try {
      answer = await fetch(url, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: wait === null ? null : AbortSignal.timeout(wait),
        cache: 'no-store',
      });
    } catch {
      throw new Fault('network', '');
    }
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { code?: string; detail?: string };
    if (answer.status === 401) this.onRefused();
    throw new Fault(problem.code ?? 'internal', problem.detail ?? '');
  }
}

/** How a path names a user by the service's own id. */
export const userPath = (id: number): string => `/users/id:${id}`;

/** What the API says is needed for these. */
export function allows(key: Key, scope: Scope): boolean {
  return key.scopes.includes(scope) || key.scopes.includes('all');
}
