/**
 * Peers: modules that benches measure beside Varve where they are installed, in this checkout's
 * node_modules or in the folder that VARVE_BENCH_PEERS names. They are no dependencies of Varve.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A module that may be installed; undefined when it is not. */
export async function optional<T>(name: string): Promise<T | undefined> {
  const folders = [process.env['VARVE_BENCH_PEERS'] || undefined, join(import.meta.dirname, '..', '..')];
  for (const folder of folders) {
    if (folder === undefined) continue;
    try {
      const file = createRequire(join(folder, 'package.json')).resolve(name);
      return (await import(pathToFileURL(file).href)) as T;
    } catch (error) {
      if ((error as { code?: string }).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}
