/**
 * The bundles of the package: dist/index.js (the library) and dist/cli/main.js (the command), what they
 * share in chunks/, with source maps. Dependencies stay outside.
 *
 * Measured and left alone, because none of it makes a start shorter by more than a thirtieth: dependencies inside
 * the bundle, text without white space and long names (which stack traces are better with), Node's modules without
 * their ESM faces.
 */
import { build, type Metafile } from 'esbuild';

/** Writes them below `outdir`; gives what esbuild knows of them. */
export async function bundle(root: string, outdir: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { index: 'src/index.ts', 'cli/main': 'src/cli/main.ts' },
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node22.19',
    packages: 'external',
    sourcemap: true,
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}
