/** Programs that a test starts and stops: free ports, waiting for a port to answer, an end that is waited for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface RunningProgram {
  stop(): Promise<void>;
}

export interface ServerUnderTest {
  /** A place that is empty at the first use of its name. */
  uri(name: string): string;
  /** PEM. */
  readonly customCa?: string;
  /** Names that cannot be kept there. */
  readonly refuses?: RegExp;
  stop(): Promise<void>;
}

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 10_000;

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a program and waits until `port` answers, if it has one. What it prints is shown when it does not start. */
export async function startProgram(
  command: string,
  args: readonly string[],
  options: { readonly port?: number; readonly cwd?: string; readonly env?: Readonly<Record<string, string>> },
): Promise<RunningProgram> {
  const child = spawn(command, args, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const keep = (piece: Buffer) => {
    printed = (printed + piece.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let ended: string | undefined;
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended ??= `it ended with ${code ?? signal}`;
  });
  const stop = () => stopProgram(child);
  for (const deadline = Date.now() + START_MS_MAX; ; await wait(50)) {
    if (ended === undefined && (options.port === undefined || (await answers(options.port)))) return { stop };
    if (ended === undefined && Date.now() < deadline) continue;
    await stop();
    throw new Error(`${command} does not start: ${ended ?? 'its port does not answer'}\n${printed}`);
  }
}

async function stopProgram(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
  await exited;
  clearTimeout(timer);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
