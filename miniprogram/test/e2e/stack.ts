// Replicas on Postgres and Redis behind nginx, as `./dev stack` starts them: private to one test file.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { eventually } from './phone';
import { BINARY } from './server';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../../deploy/stack.sh', import.meta.url));

export interface Replica {
  readonly name: string;
  readonly pid: number;
  /** Where its metrics are. */
  readonly metrics: string;
}

export class Stack {
  private constructor(
    private readonly env: NodeJS.ProcessEnv,
    /** What browsers open: nginx. */
    readonly url: string,
    public replicas: readonly Replica[],
  ) {}

  static async up(replicas: number): Promise<Stack> {
    const folder = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'imserver-e2e-stack-')), 'stack');
    // Postgres does not run as root, and needs access to the folder.
    fs.chmodSync(path.dirname(folder), 0o711);
    const env = {
      ...process.env,
      IMSERVER_STACK: folder,
      IMSERVER_PROGRAM: BINARY,
      // The users have to find each other, and limits must not delay the test.
      IMSERVER__AUTH__DEMO_LOGIN: 'true',
      IMSERVER__USERS__DIRECTORY: 'true',
      IMSERVER__LIMITS__ENABLED: 'false',
    };
    const { stdout } = await run(SCRIPT, ['up', '--replicas', String(replicas)], { env });
    const url = /^open +(http:\S+?)\/$/m.exec(stdout)?.[1];
    if (url === undefined) throw new Error(`the stack is nowhere:\n${stdout}`);
    const found = stdout.matchAll(/^(imserver-\d+): pid (\d+), \S+ metrics (\S+)$/gm);
    return new Stack(
      env,
      url,
      Array.from(found, ([, name = '', pid, metrics = '']) => ({ name, pid: Number(pid), metrics })),
    );
  }

  /** How many sockets of version 1 each replica has; null for one that does not answer. */
  sockets(): Promise<(number | null)[]> {
    return Promise.all(
      this.replicas.map(async ({ metrics }) => {
        const answer = await fetch(metrics).catch(() => undefined);
        const count = answer && /^imserver_sockets\{kind="v1"\} (\d+)/m.exec(await answer.text());
        return answer ? Number(count?.[1] ?? 0) : null;
      }),
    );
  }

  /** Ends a replica as a crash does. */
  kill(name: string): void {
    const replica = this.replicas.find((one) => one.name === name);
    if (replica === undefined) throw new Error(`there is no ${name}`);
    process.kill(replica.pid, 'SIGKILL');
  }

  /** Starts a replica again, where it was, once it has ended. */
  async start(name: string): Promise<void> {
    const pid = String(this.replicas.find((one) => one.name === name)?.pid);
    // A process that was killed is there until the system has taken back its memory. `ps` fails if there is none.
    const state = () => run('ps', ['-o', 'stat=', '-p', pid]).then(({ stdout }) => stdout, () => 'Z');
    await eventually(`${name} has ended`, async () => (await state()).startsWith('Z'));
    await run(SCRIPT, ['start', name], { env: this.env });
    const started = Number(fs.readFileSync(path.join(this.env.IMSERVER_STACK ?? '', 'pids', name), 'utf8').split(' ')[0]);
    this.replicas = this.replicas.map((one) => (one.name === name ? { ...one, pid: started } : one));
  }

  async down(): Promise<void> {
    await run(SCRIPT, ['down'], { env: this.env });
    fs.rmSync(path.dirname(this.env.IMSERVER_STACK ?? ''), { recursive: true, force: true });
  }
}
