/**
 * Files by COPY: `COPY crdb_internal.nodelocal_file_upload FROM STDIN WITH destination = 'nodelocal://1/path'`, and
 * `crdb_internal.user_file_upload` for userfile://. How the command line uploads, CockroachDB's too.
 *
 *   P1  a row of the data is a piece of the file, in COPY's text form, as raw bytes; nothing is kept but a piece
 *   P2  the file appears whole, when the last piece has come, and only where none of that name was. It is stored at
 *       once: a transaction around the COPY does not take it back
 *
 * Error texts are CockroachDB's.
 */
import { toBuffer } from '../../../base/bytes.ts';
import { isVarveError, StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { splitText } from '../../../base/uriText.ts';
import { requireAccess } from '../../../storage/access.ts';
import type { StorageFactory } from '../../../storage/externalStorage.ts';
import { ParsedUri } from '../../../storage/uri.ts';
import type { CopyFrom } from '../../parse/ast.ts';
import type { RunContext } from '../context.ts';
import type { HookResult, StatementContext, StatementHooks } from '../statement.ts';
import { copyFrom } from './copyFrom.ts';
import { badCopyData, copyDecoder } from './decode.ts';
import { type CopyPort, portOf } from './port.ts';

/** By the table that stands for it, the scheme of an upload. */
const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['crdb_internal.nodelocal_file_upload', 'nodelocal'],
  ['crdb_internal.user_file_upload', 'userfile'],
]);
const TEXT_FORM = { format: 'text', delimiter: '\t', nullText: '\\N', header: false, quote: '"', escape: '"' } as const;

/** COPY FROM STDIN, uploads included. */
export function registerFileUploads(hooks: StatementHooks, storage: StorageFactory): void {
  hooks.register<CopyFrom>('copyFrom', {
    columns: () => undefined,
    run: (context, stmt) => {
      const scheme = SCHEMES.get(stmt.table.parts.map(({ text }) => text).join('.'));
      return scheme === undefined ? copyFrom(context as RunContext, stmt) : upload(storage, context, stmt, scheme);
    },
    runsOnce: true,
  });
}

async function upload(factory: StorageFactory, context: StatementContext, stmt: CopyFrom, scheme: string): Promise<HookResult> {
  const port = portOf(context.session, 'COPY FROM STDIN');
  const uri = destinationOf(stmt, scheme);
  await requireAccess(context.txn, await context.roles(), [uri.unredacted()], context.engine.externalIo, 'storage');
  const { folder, name } = placeOf(uri);
  const { signal } = context;
  const storage = factory.open(folder, { user: context.user, nodeId: context.session.nodeId });
  let count = 0;
  try {
    const source = pieces(port, signal, () => count++);
    await storage.write(name, source, { signal, ifAbsent: true });
  } catch (error) {
    if (!isVarveError(error) || error.code !== SqlState.DuplicateFile) throw error;
    throw new StatementError(SqlState.DuplicateFile, `destination file already exists for /${uri.path}`, { cause: error });
  } finally {
    await storage.close();
  }
  return { tag: `COPY ${count}`, rowCount: count };
}

function destinationOf({ columns, options }: CopyFrom, scheme: string): ParsedUri {
  if (columns.length > 0) throw new StatementError(SqlState.SyntaxError, 'expected 0 columns specified for file uploads');
  const [option, ...others] = options;
  if (option?.name !== 'destination' || option.value?.kind !== 'string' || others.length > 0) {
    throw new StatementError(SqlState.SyntaxError, "a file upload wants WITH destination = 'uri', and nothing else");
  }
  const uri = ParsedUri.parse(option.value.value);
  if (uri.scheme === scheme && uri.path !== '') return uri;
  throw new StatementError(SqlState.InvalidParameterValue, `the destination must be a ${scheme}:// URI that names a file: "${uri}"`);
}

/** The folder's URI, and the file's name in it. */
function placeOf(uri: ParsedUri): { readonly folder: string; readonly name: string } {
  const parts = splitText(uri.unredacted());
  const path = parts?.path.replace(/\/+$/, '') ?? '';
  const slash = path.lastIndexOf('/');
  return { folder: `${parts?.scheme}://${parts?.authority}${path.slice(0, slash)}`, name: uri.path.slice(uri.path.lastIndexOf('/') + 1) };
}

async function* pieces(port: CopyPort, signal: AbortSignal, onRow: () => void): AsyncGenerator<Uint8Array> {
  const decoder = copyDecoder(TEXT_FORM);
  const contents = (rows: ReturnType<typeof decoder.push>): Uint8Array[] =>
    rows.map(({ fields, line }) => {
      const [field, ...others] = fields;
      if (field === null || field === undefined || others.length > 0) throw badCopyData('expected one column of bytes', line);
      onRow();
      return toBuffer(field);
    });
  for await (const data of port.receive({ format: 'text', columnCount: 1 }, signal)) yield* contents(decoder.push(data));
  yield* contents(decoder.finish());
}
