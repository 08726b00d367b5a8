/** package-lock.json: good on every platform and with every registry. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

interface LockedPackage {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const test = suite('tidy: lock file');

test('names no registry, and neither does .npmrc', () => {
  for (const name of ['package-lock.json', '.npmrc']) assert.not.match(read(name), /"resolved"|registry\s*=|\/\/[^"]*registry/, name);
});

// An optional package that the registry at hand does not offer is left out by `npm install`, and
// then `npm ci` refuses the whole file.
test('has an entry for every dependency, of other platforms too', () => {
  const packages = (JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages;
  const missing: string[] = [];
  for (const [path, { dependencies, optionalDependencies }] of Object.entries(packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (!(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages)) missing.push(`${path}: ${name}`);
    }
  }
  assert.equal(missing, []);
});
test.run();
