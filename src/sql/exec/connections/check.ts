/**
 * CHECK EXTERNAL CONNECTION 'uri' [WITH transfer = '32MiB', concurrently = 1, time = '10s']: every node writes a file
 * there, reads it back, and deletes it; one row a run. SHOW BACKUP CONNECTION is its older name.
 *
 * What fails on a node is in its row, not an error of the statement.
 */
import { formatByteSize, parseByteSize } from '../../../base/byteSize.ts';
import { utf8Encode } from '../../../base/bytes.ts';
import type { Clock } from '../../../base/clock.ts';
import { MICROS_PER_SECOND, parseDuration } from '../../../base/duration.ts';
import { StatementError } from '../../../base/errors.ts';
import { mapConcurrently } from '../../../base/mapConcurrently.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { Type } from '../../../catalog/type.ts';
import { formatLocality } from '../../../kv/locality.ts';
import { requireAccess } from '../../../storage/access.ts';
import { type Measured, measureStorage } from '../../../storage/external/measure.ts';
import type { StorageFactory } from '../../../storage/externalStorage.ts';
import type { CheckExternalConnection, Option } from '../../parse/ast.ts';
import type { HookResult, ResultColumn, StatementContext } from '../statement.ts';
import { requireText } from './changes.ts';

export const CHECK_COLUMNS: readonly ResultColumn[] = [
  { name: 'node', type: Type.Int8 },
  { name: 'locality', type: Type.String },
  { name: 'ok', type: Type.Bool },
  { name: 'error', type: Type.String },
  { name: 'transferred', type: Type.String },
  { name: 'read_speed', type: Type.String },
  { name: 'write_speed', type: Type.String },
  { name: 'can_delete', type: Type.Bool },
];

const DEFAULT_TRANSFER_BYTES = 32 * 2 ** 20;
/** More than a node ever opens at once for a backup. */
const CONCURRENCY_MAX = 64;

interface CheckOptions {
  readonly transferBytes: number;
  readonly minMicros: number;
  readonly concurrency: number;
}

export async function runCheck(
  { storage, ioClock }: { readonly storage: StorageFactory; readonly ioClock: Clock },
  context: StatementContext,
  stmt: CheckExternalConnection,
): Promise<HookResult> {
  const uri = await requireText(context, stmt.uri, 'the location to check');
  const { transferBytes, minMicros, concurrency } = await readOptions(context, stmt.options);
  await requireAccess(context.txn, await context.roles(), [uri], context.engine.externalIo, 'storage');
  const { user, signal, engine } = context;
  // A URI that cannot be opened is the statement's own error.
  await storage.open(uri, { user, nodeId: context.session.nodeId }).close();
  const runs = engine.kv.cluster
    .liveNodes()
    .flatMap((node) =>
      Array.from({ length: concurrency }, (_, index) => ({ node, random: engine.random.fork(`check ${node.id}.${index}`) })),
    );
  const rows = await mapConcurrently(runs, runs.length, async ({ node, random }) => {
    const measured = await measureStorage(() => storage.open(uri, { user, nodeId: node.id }), {
      sizeBytes: transferBytes,
      minMicros,
      clock: ioClock,
      random,
      signal,
    });
    return [node.id, utf8Encode(formatLocality(node.locality)), ...resultColumns(measured)];
  });
  return { tag: `CHECK EXTERNAL CONNECTION ${rows.length}`, rows, rowCount: rows.length };
}

function resultColumns({ isOk, error, writtenBytes, writeMicros, readBytes, readMicros, canDelete }: Measured): Datum[] {
  const speeds = [speed(readBytes, readMicros), speed(writtenBytes, writeMicros)];
  return [isOk, utf8Encode(error), ...[formatByteSize(writtenBytes), ...speeds].map(utf8Encode), canDelete];
}

function speed(bytes: number, micros: number): string {
  return `${formatByteSize(Math.round((bytes * MICROS_PER_SECOND) / Math.max(1, micros)))}/s`;
}

async function readOptions(context: StatementContext, options: readonly Option[]): Promise<CheckOptions> {
  let read: CheckOptions = { transferBytes: DEFAULT_TRANSFER_BYTES, minMicros: 0, concurrency: 1 };
  const seen = new Set<string>();
  for (const option of options) {
    const location = { position: option.pos + 1 };
    if (seen.has(option.name)) throw new StatementError(SqlState.SyntaxError, `option ${option.name} is given twice`, { location });
    seen.add(option.name);
    read = { ...read, ...(await readOption(context, option, location)) };
  }
  return read;
}

async function readOption(context: StatementContext, option: Option, location: { position: number }): Promise<Partial<CheckOptions>> {
  const { name, value } = option;
  const invalid = (what: string) => new StatementError(SqlState.InvalidParameterValue, `option ${name} must be ${what}`, { location });
  switch (value === undefined ? '' : name) {
    case 'transfer': {
      const transferBytes = parseByteSize((value && (await context.evalString(value))) ?? '');
      if (transferBytes === undefined || transferBytes < 1) throw invalid("a size, such as '32MiB'");
      return { transferBytes };
    }
    case 'time': {
      const text = (value && (await context.evalString(value))) ?? '';
      if (!/^\d/.test(text)) throw invalid("a duration, such as '10s'");
      return { minMicros: parseDuration(text) };
    }
    case 'concurrently': {
      const concurrency = value && (await context.evalInt(value));
      if (concurrency === undefined || concurrency < 1 || concurrency > CONCURRENCY_MAX)
        throw invalid(`a number from 1 to ${CONCURRENCY_MAX}`);
      return { concurrency };
    }
    default:
      throw new StatementError(SqlState.SyntaxError, `unknown CHECK EXTERNAL CONNECTION option "${name}"`, {
        location,
        hint: 'options are transfer, time, concurrently',
      });
  }
}
