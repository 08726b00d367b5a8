/**
 * Temporary files of nodelocal: `.varve-tmp-<machine>-<process>-<start>-<number>`, and how those that a killed process
 * has left are found.
 *
 *   T1  a file goes only when no process can still be writing it: of this machine when its process is gone and nobody
 *       has written to it for ten minutes; of another machine, which may share the directory, or where another process
 *       has got the id since, when nobody has for a day
 *   T2  nothing else is touched, and no link is followed
 */
import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, readdir, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { MICROS_PER_DAY, MICROS_PER_MINUTE } from '../base/duration.ts';

const PREFIX = '.varve-tmp-';
const NAME = /^\.varve-tmp-([0-9a-f]{8})-(\d+)-([0-9a-z]+)-\d+$/;
const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const OWN_STALE_MICROS = 10 * MICROS_PER_MINUTE;
const STALE_MICROS = MICROS_PER_DAY;

// When the process began, as far as it knows; it tells a process from another that had its id before.
const START = Math.round(performance.timeOrigin).toString(36);
let count = 0;

/** Unique among all processes that share the directory. */
export function temporaryName(): string {
  return `${PREFIX}${MACHINE}-${process.pid}-${START}-${++count}`;
}

export function isTemporary(name: string): boolean {
  return name.startsWith(PREFIX);
}

export interface SweepOptions {
  readonly nowMicros: number;
  /** Default: asks the system. */
  readonly isAlive?: (processId: number) => boolean;
  readonly signal?: AbortSignal;
}

/** Removes what is stale below a directory (T1), and says how many files that were. What cannot be read or removed stays. */
export async function sweepTemporaries(directory: string, options: SweepOptions): Promise<number> {
  let removed = 0;
  const folders = [directory];
  for (let folder = folders.pop(); folder !== undefined && !options.signal?.aborted; folder = folders.pop()) {
    const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && isTemporary(entry.name) && (await isStale(path, entry.name, options))) {
        removed += await unlink(path).then(
          () => 1,
          () => 0,
        );
      }
    }
  }
  return removed;
}

async function isStale(path: string, name: string, { nowMicros, isAlive = isProcessAlive }: SweepOptions): Promise<boolean> {
  const [, machine, processId, start] = NAME.exec(name) ?? [];
  const status = await lstat(path).catch(() => undefined);
  if (status === undefined) return false;
  const idleMicros = nowMicros - status.mtimeMs * 1000;
  if (machine !== MACHINE) return idleMicros > STALE_MICROS;
  const isOwn = Number(processId) === process.pid;
  const isGone = isOwn ? start !== START : !isAlive(Number(processId));
  return isGone ? idleMicros > OWN_STALE_MICROS : !isOwn && idleMicros > STALE_MICROS;
}

/** A process of another user is one too. */
function isProcessAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
