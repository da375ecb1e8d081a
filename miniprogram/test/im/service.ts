// The real service as a process: `IMSERVER_BIN` names its binary, which `./dev test` builds.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '../port';

export class Service {
  private process: ChildProcess | null = null;

  private constructor(
    private readonly port: number,
    private readonly folder: string,
  ) {}

  static async start(): Promise<Service> {
    const service = new Service(await freePort(), await mkdtemp(join(tmpdir(), 'imserver-')));
    await service.up();
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the process, on the same port and database each time. */
  async up(): Promise<void> {
    const binary = process.env['IMSERVER_BIN'];
    assert.ok(binary, 'IMSERVER_BIN is not set: run ./dev test, or name target/debug/imserver');
    const started = spawn(binary, {
      cwd: this.folder,
      stdio: 'ignore',
      env: {
        IMSERVER__SERVER__LISTEN: `127.0.0.1:${this.port}`,
        IMSERVER__METRICS__LISTEN: '',
        IMSERVER__DATABASE__URL: `sqlite://${join(this.folder, 'im.db')}`,
      },
    });
    this.process = started;
    await eventually('the service is ready', async () => {
      assert.equal(started.exitCode, null, 'the service has ended');
      return (await fetch(`${this.url}/readyz`)).ok;
    });
  }

  /** kill -9. */
  async crash(): Promise<void> {
    const running = this.process;
    if (!running) return;
    this.process = null;
    running.kill('SIGKILL');
    await once(running, 'exit');
  }

  async remove(): Promise<void> {
    await this.crash();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Waits until it holds; a busy machine has two minutes. What throws does not hold yet. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 120_000;
  let last: unknown = null;
  while (Date.now() < end) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not within two minutes: ${what}`, { cause: last });
}
