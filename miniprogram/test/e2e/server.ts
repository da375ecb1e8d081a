// A real server process with its own database, which can be killed and started again.

import { randomUUID } from 'node:crypto';
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from '../port';

export const BINARY =
  process.env.IMSERVER_BIN ?? fileURLToPath(new URL('../../../target/debug/imserver', import.meta.url));

/** Maximum milliseconds of a start on a busy machine. */
const START_MS = 120_000;

export class Server {
  private child: ChildProcess | undefined;
  /** The folder of its database. */
  readonly home = fs.mkdtempSync(path.join(os.tmpdir(), 'imserver-e2e-'));

  private constructor(
    readonly port: number,
    private readonly settings: readonly string[],
  ) {}

  /** `settings` are of the form `section.key=value`. */
  static async start(...settings: string[]): Promise<Server> {
    const server = new Server(await freePort(), settings);
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it, at the same address each time. */
  async start(): Promise<void> {
    const sets = this.settings.flatMap((setting) => ['--set', setting]);
    this.child = spawn(
      BINARY,
      [
        '--listen',
        `127.0.0.1:${this.port}`,
        '--database-url',
        'sqlite://im.db',
        '--set',
        'metrics.listen=',
        ...sets,
      ],
      {
        cwd: this.home,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { ...process.env, IMSERVER__LOG__FILTER: 'error' },
      },
    );
    const deadline = Date.now() + START_MS;
    for (;;) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) return;
      if (this.child.exitCode !== null) throw new Error(`the server exited with ${this.child.exitCode}`);
      if (Date.now() > deadline) throw new Error('the server does not become ready');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** `kill -9`, like a crash. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }

  async end(): Promise<void> {
    await this.kill();
    fs.rmSync(this.home, { recursive: true, force: true });
  }

  /** A user without a phone, over HTTP. */
  async person(name: string): Promise<Person> {
    const { token, user } = (await this.post('/v1/login/demo', { name })) as {
      token: string;
      user: { id: number };
    };
    return new Person(this, token, user.id);
  }

  async get(route: string, token: string): Promise<unknown> {
    const answer = await fetch(this.url + route, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${route} answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  async post(route: string, body: object, token?: string): Promise<unknown> {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const ask = () =>
      fetch(this.url + route, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization },
        body: JSON.stringify(body),
      });
    const deadline = Date.now() + START_MS;
    let answer = await ask();
    // A busy machine has no database for a moment, and the service asks to come again.
    while (answer.status === 503 && Date.now() < deadline) {
      await answer.text();
      await new Promise((resolve) => setTimeout(resolve, 100));
      answer = await ask();
    }
    if (!answer.ok) throw new Error(`${route} answered ${answer.status}: ${await answer.text()}`);
    const text = await answer.text();
    return text === '' ? undefined : JSON.parse(text);
  }
}

export class Person {
  constructor(
    private readonly server: Server,
    readonly token: string,
    readonly id: number,
  ) {}

  /** Returns the chat's id. */
  async send(targetUserId: number, content: string): Promise<number> {
    const clientMsgId = randomUUID();
    const post = () => this.server.post('/v1/chats', { clientMsgId, targetUserId, content }, this.token);
    // A busy machine may be too slow: a repeat is the same chat.
    const { chat } = (await post().catch(post)) as { chat: { id: number } };
    return chat.id;
  }
}
