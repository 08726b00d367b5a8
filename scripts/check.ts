/**
 * `npm run check`: types, lint and format, and the tidy rules. Every part runs, and any of them
 * fails the whole. `npm run check -- tidy` runs one part: types, lint or tidy.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCycles, checkLayers } from './tidy/layers.ts';
import { checkDependencies, checkDeterminism, checkLength, checkOnly, checkPackages, checkReadmes } from './tidy/rules.ts';
import { formatViolation } from './tidy/source.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function runTool(path: string, ...args: string[]): boolean {
  const { status, error } = spawnSync(process.execPath, [join(root, 'node_modules', path), ...args], { cwd: root, stdio: 'inherit' });
  if (error) console.error(error.message);
  return status === 0;
}

function checkTidy(): boolean {
  const paths = ['src', 'test', 'scripts'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll(sep, '/'))
      .filter((path) => !path.includes('/node_modules/')),
  );
  const files = paths.filter((path) => path.endsWith('.ts')).map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  const rules = [checkLayers, checkCycles, checkPackages, checkDeterminism, checkOnly, checkLength];
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'peerDependencies',
    Record<string, string>
  >;
  const violations = [
    ...rules.flatMap((rule) => rule(files)),
    ...checkDependencies(files, Object.keys({ ...dependencies, ...peerDependencies })),
    ...checkReadmes(paths),
  ];
  for (const violation of violations) console.error(formatViolation(violation));
  console.log(`tidy: ${files.length} files, ${violations.length} violations`);
  return violations.length === 0;
}

const parts: Record<string, () => boolean> = {
  types: () => runTool('typescript/bin/tsc', '-p', '.'),
  lint: () => runTool('@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'),
  tidy: checkTidy,
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
for (const name of wanted) {
  const part = parts[name];
  const isGood = part?.() ?? false;
  console.log(`check ${name}: ${part === undefined ? 'no such part' : isGood ? 'ok' : 'FAILED'}`);
  if (!isGood) process.exitCode = 1;
}
