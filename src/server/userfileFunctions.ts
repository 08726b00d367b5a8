/**
 * userfile storage in SQL: what `varve userfile` calls, as the connection's user.
 *
 *   varve_internal.userfile_upload(uri, content)   stores a file whole; its full URI
 *   varve_internal.userfile_list(uri)              full URIs of the files at or below a location, sorted
 *   varve_internal.userfile_get(uri [, offset, length])   a file's content, or a piece of it; empty behind its end
 *   varve_internal.userfile_delete(uri)            true when there was such a file
 *
 * Each commits on its own. What passes through one SQL value is as large as a message at most: larger files come in by
 * COPY (sql/exec/copy/fileUpload.ts), and go out in pieces.
 */
import { type Bytes, fromBuffer, toBuffer, utf8Decode, utf8Encode } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import type { Datum } from '../catalog/datum.ts';
import { arrayOf, type ColumnType, Type } from '../catalog/type.ts';
import type { ExternalStorage } from '../storage/externalStorage.ts';
import type { StorageRegistry } from '../storage/registry.ts';
import { ParsedUri } from '../storage/uri.ts';
import { parseUserfileHost } from '../storage/userfile.ts';
import type { EvalContext } from '../sql/expr/evalContext.ts';
import type { FunctionRegistry } from '../sql/expr/registry.ts';

interface Location {
  readonly storage: ExternalStorage;
  /** `userfile://db.schema.prefix/`. */
  readonly root: string;
  readonly path: string;
}

export function registerUserfileFunctions(functions: FunctionRegistry, storage: StorageRegistry): void {
  const locate = (ctx: EvalContext, text: Datum | undefined): Location => {
    const uri = ParsedUri.parse(utf8Decode(text as Bytes));
    if (uri.scheme !== 'userfile') throw new StatementError(SqlState.InvalidParameterValue, `not a userfile URI: "${uri}"`);
    const { database, schema, prefix } = parseUserfileHost(uri, ctx.session.user);
    const root = `userfile://${[database, schema, prefix].map(hostPart).join('.')}/`;
    return { storage: storage.open(root, { user: ctx.session.user, nodeId: ctx.nodeId }), root, path: uri.path };
  };
  const define = (
    name: string,
    params: readonly ColumnType[],
    returns: ColumnType,
    run: (location: Location, ...rest: readonly (Datum | undefined)[]) => Promise<Datum>,
  ) =>
    functions.register({
      name: `varve_internal.userfile_${name}`,
      params,
      returns,
      volatility: 'volatile',
      asyncFn: async (ctx, uri, ...rest) => {
        const location = locate(ctx, uri);
        try {
          return await run(location, ...rest);
        } finally {
          await location.storage.close();
        }
      },
    });

  define('upload', [Type.String, Type.Bytes], Type.String, async ({ storage: files, root, path }, content) => {
    await files.write(path, [toBuffer(content as Bytes)], {});
    return utf8Encode(root + path);
  });
  define('list', [Type.String], arrayOf(Type.String), async ({ storage: files, root, path }) => {
    const names = await files.list(path);
    const found = names.filter((name) => path === '' || name === path || name.startsWith(`${path}/`));
    return found.map((name) => utf8Encode(root + name.replace(/[%?#]/g, encodeURIComponent)));
  });
  define('get', [Type.String], Type.Bytes, async ({ storage: files, path }) => fromBuffer(await files.read(path, {})));
  define('get', [Type.String, Type.Int8, Type.Int8], Type.Bytes, async ({ storage: files, path }, offset, length) =>
    fromBuffer(await files.read(path, { offset: Math.max(0, Number(offset)), length: Math.max(0, Number(length)) })),
  );
  define('delete', [Type.String], Type.Bool, async ({ storage: files, path }) => {
    const exists = (await files.list(path)).includes(path);
    await files.delete(path);
    return exists;
  });
}

/** A name that a userfile URI's host can carry bare, or in double quotes. */
function hostPart(name: string): string {
  return /^[a-z0-9_-]+$/.test(name) ? name : encodeURIComponent(`"${name.replaceAll('"', '""')}"`);
}
