// Postgres, Redis and the servers for a test: real ones, of its own.
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import pg from 'pg';

const PEERS = fileURLToPath(new URL('..', import.meta.url));
const STACK = join(PEERS, '../../deploy/stack.sh');
/** A machine that is busy with something else may take long. */
const PATIENCE = 60_000;

const execute = promisify(execFile);

/** Postgres and Redis, as deploy/stack.sh sets them up. */
export class Stack {
  #environment = { ...process.env, IMSERVER_STACK: join(tmpdir(), `imserver-peers-${process.pid}`) };

  async up() {
    await execute(STACK, ['up', '--bare'], { env: this.#environment });
  }

  /**
   * Two processes of a server, with a database of their own; where they are and are read back, and how to end them.
   * @param {string} name
   */
  async start(name) {
    const [command = '', ...args] = commandOf(name);
    const environment = { ...this.#environment, ...(await this.#urls(name.replace('-', '_'))), PORT: '0' };
    const servers = [0, 1].map(() =>
      spawn(command, args, { cwd: PEERS, env: environment, stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const addresses = await Promise.all(servers.map((server) => address(server, name)));
    const stop = async () => {
      await Promise.all(
        servers.map((server) => {
          const ended = new Promise((resolve) => server.once('exit', resolve));
          server.kill('SIGTERM');
          return ended;
        }),
      );
      return servers.map((server) => server.exitCode);
    };
    return { addresses, stop };
  }

  /**
   * A new database, and Redis.
   * @param {string} database
   */
  async #urls(database) {
    const databaseUrl = new URL(await this.#setting('urls.env', 'IMSERVER__DATABASE__URL'));
    const superuser = new URL(databaseUrl);
    superuser.username = 'postgres';
    superuser.password = await this.#setting('secrets.env', 'IMSERVER_POSTGRES_PASSWORD');
    superuser.pathname = '/postgres';
    const client = new pg.Client({ connectionString: superuser.href });
    await client.connect();
    await client.query(`CREATE DATABASE ${database} TEMPLATE imserver OWNER imserver`);
    await client.end();
    databaseUrl.pathname = `/${database}`;
    return { DATABASE_URL: databaseUrl.href, REDIS_URL: await this.#setting('urls.env', 'IMSERVER__BUS__URL') };
  }

  /**
   * @param {string} file
   * @param {string} name
   */
  async #setting(file, name) {
    const text = await readFile(join(this.#environment.IMSERVER_STACK, file), 'utf8');
    const value = new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1];
    if (!value) throw new Error(`${file} has no ${name}`);
    return value;
  }

  async down() {
    await execute(STACK, ['down'], { env: this.#environment });
  }
}

/** @param {string} name */
function commandOf(name) {
  const built = process.env.CENTRIFUGE_PROGRAM;
  if (name !== 'centrifuge') return [process.execPath, `${name}.js`];
  if (!built) throw new Error('CENTRIFUGE_PROGRAM names the program that Go makes of centrifuge/');
  return [built];
}

/**
 * Where a server listens, and where it reads back, as it says itself.
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, null>} server
 * @param {string} name
 * @returns {Promise<{ url: string, readBack: string }>}
 */
function address(server, name) {
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      reject(new Error(`${name} does not listen`));
    }, PATIENCE);
    let readBack = '';
    createInterface({ input: server.stdout }).on('line', (line) => {
      readBack ||= / reads back on (http:\S+)/.exec(line)?.[1] ?? '';
      const url = / listens on (http:\S+)/.exec(line)?.[1];
      if (!url) return;
      clearTimeout(patience);
      resolve({ url, readBack: readBack || url });
    });
    server.once('exit', (code) => {
      clearTimeout(patience);
      reject(new Error(`${name} ended with ${code ?? 'a signal'}`));
    });
  });
}
