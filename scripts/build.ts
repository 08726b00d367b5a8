/**
 * `npm run build`: the package as it is published, in dist/.
 *
 *   dist/index.js, dist/cli/main.js   bundles of the library and the command, with source maps;
 *                                     what they share lies in dist/chunks/
 *   dist/**\/*.d.ts                    declarations of the library and of all that it names
 *
 * Dependencies stay outside the bundles. Bundling moves code between folders, so that no file of
 * src may find another by a path relative to `import.meta.url`.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** Ends the script with what the compiler prints, when it finds an error. */
function compile(what: string, ...args: string[]): void {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status === 0) return;
  console.error(`build: ${what} failed\n${stdout}`);
  process.exit(1);
}

rmSync(dist, { recursive: true, force: true });
const metafile = await bundle(root, dist);
compile('emitting declarations', '-p', 'tsconfig.build.json');
// As a user's compiler reads them: from dist alone, every name resolved.
compile('reading the declarations back', '-p', 'tsconfig.dist.json');

for (const [path, { bytes, entryPoint }] of Object.entries(metafile.outputs)) {
  if (entryPoint !== undefined && !path.includes('chunks/'))
    console.log(`${relative(root, join(root, path))}  ${(bytes / 1024).toFixed(0)} KiB`);
}
const sum = Object.entries(metafile.outputs).reduce((total, [path, { bytes }]) => total + (path.endsWith('.js') ? bytes : 0), 0);
console.log(`dist, all JavaScript  ${(sum / 1024).toFixed(0)} KiB`);
