// Postgres, Redis and the servers for a test: real ones, of its own.
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PEERS = fileURLToPath(new URL('..', import.meta.url));
const STACK = join(PEERS, '../../deploy/stack.sh');
/** A machine that is busy with something else may take long. */
const PATIENCE = 60_000;

const execute = promisify(execFile);

/** Postgres and Redis, as deploy/stack.sh sets them up. */
export class Stack {
  /**
   * @param {string} folder
   * @param {NodeJS.ProcessEnv} environment for the servers
   */
  constructor(folder, environment) {
    this.folder = folder;
    this.environment = environment;
  }

  static async up() {
    const folder = await mkdtemp(join(tmpdir(), 'peers-'));
    const own = { ...process.env, IMSERVER_STACK: join(folder, 'stack') };
    await execute(STACK, ['up', '--bare'], { env: own });
    const lines = (await readFile(join(folder, 'stack/urls.env'), 'utf8')).split('\n');
    const value = (/** @type {string} */ name) => lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
    return new Stack(folder, {
      ...own,
      DATABASE_URL: value('IMSERVER__DATABASE__URL'),
      REDIS_URL: value('IMSERVER__BUS__URL'),
    });
  }

  /** Two processes of a server; where they are, and how to end them. @param {string} name */
  async start(name) {
    const [command = '', ...args] = commandOf(name);
    const servers = [0, 1].map(() =>
      spawn(command, args, { cwd: PEERS, env: { ...this.environment, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const urls = await Promise.all(servers.map((server) => address(server, name)));
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
    return { urls, stop };
  }

  async down() {
    await execute(STACK, ['down'], { env: this.environment });
    await rm(this.folder, { recursive: true });
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
 * Where a server listens, as it says itself.
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, null>} server
 * @param {string} name
 * @returns {Promise<string>}
 */
function address(server, name) {
  return new Promise((resolve, reject) => {
    const patience = setTimeout(() => {
      reject(new Error(`${name} does not listen`));
    }, PATIENCE);
    createInterface({ input: server.stdout }).on('line', (line) => {
      const url = / listens on (http:\S+)/.exec(line)?.[1];
      if (!url) return;
      clearTimeout(patience);
      resolve(url);
    });
    server.once('exit', (code) => {
      clearTimeout(patience);
      reject(new Error(`${name} ended with ${code ?? 'a signal'}`));
    });
  });
}
