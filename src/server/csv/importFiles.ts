/**
 * The files that an IMPORT names: a URI whose last part has wildcards (`*` and `[a-z]`, as in a shell; a `?` begins a URI's parameters)
 * stands for every file of its folder that fits, in the order of names.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';
import { ParsedUri } from '../../storage/uri.ts';

/** The URI of the folder that a file is in; its parameters stay. */
export function folderOf(uri: string): string {
  const { end, start } = nameIn(uri);
  return uri.slice(0, start) + uri.slice(end);
}

export function fileNameOf(uri: string): string {
  return ParsedUri.parse(uri).path.split('/').at(-1) ?? '';
}

/** The URIs of single files. 58P01 for wildcards that nothing fits; as it is for a URI without them, and where nothing can be listed. */
export async function matchingFiles(
  factory: StorageFactory,
  uri: string,
  who: { readonly user: string; readonly nodeId: number },
): Promise<string[]> {
  const pattern = fileNameOf(uri);
  if (!/[*[]/.test(pattern)) return [uri];
  const storage = factory.open(folderOf(uri), who);
  try {
    if (!storage.capabilities.list) return [uri];
    const fits = shellPattern(pattern);
    const names = (await storage.list(pattern.split(/[*[]/, 1)[0] ?? '')).filter((name) => fits.test(name));
    if (names.length === 0) {
      throw new StatementError(SqlState.UndefinedFile, `no files matched "${pattern}" in "${ParsedUri.parse(folderOf(uri))}"`);
    }
    const { start, end } = nameIn(uri);
    return names.map((name) => uri.slice(0, start) + encodeURIComponent(name) + uri.slice(end));
  } finally {
    await storage.close();
  }
}

/** Where the last part of a URI's path stands. */
function nameIn(uri: string): { start: number; end: number } {
  const end = uri.includes('?') ? uri.indexOf('?') : uri.length;
  return { start: uri.lastIndexOf('/', end) + 1, end };
}

function shellPattern(pattern: string): RegExp {
  const source = pattern.replaceAll(/\[(!?)([^\]]*)\]|\*|[^*[]+|\[/g, (piece, not: string | undefined, set: string | undefined) => {
    if (piece === '*') return '[^/]*';
    if (set !== undefined) return `[${not ? '^' : ''}${set.replaceAll(/[\\^[]/g, '\\$&')}]`;
    return piece.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source}$`);
}
