/**
 * The files and folders that the documentation names are there: a walk through the code leads nowhere
 * else. A name stands in backticks: `kv/commit.ts` below src or from the top, `commit.ts` anywhere in
 * src, for a README in its own folder first; `test/kv` is a folder, `src/kv/*.ts` has members.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('files named in the documentation');

const ROOT = join(import.meta.dirname, '../..');
const PAGES = [...globSync('docs/*.md', { cwd: ROOT }), ...globSync('src/*/README.md', { cwd: ROOT }), 'README.md'].filter((page) =>
  existsSync(join(ROOT, page)),
);
const SOURCES: ReadonlySet<string> = new Set(globSync('src/**/*.ts', { cwd: ROOT }).map((file) => basename(file)));

/** Backticked names of TypeScript files, and of folders below src, test, scripts and docs. */
function namesIn(text: string): string[] {
  return [...text.matchAll(/`([\w*./-]+)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => /^[\w*./-]+\.ts$/.test(name) || /^(?:src|test|scripts|docs)\/[\w*./-]+$/.test(name));
}

function isThere(name: string, page: string): boolean {
  const places = [join(ROOT, name), join(ROOT, 'src', name), join(ROOT, dirname(page), name)];
  if (name.includes('*')) return [...places, join(ROOT, 'src/**', name)].some((place) => globSync(place).length > 0);
  return places.some((place) => existsSync(place)) || (!name.includes('/') && SOURCES.has(name));
}

test('every file and folder that a page names exists', () => {
  const missing: string[] = [];
  let count = 0;
  for (const page of PAGES) {
    for (const name of namesIn(readFileSync(join(ROOT, page), 'utf8'))) {
      count++;
      if (!isThere(name, page)) missing.push(`${page}: ${name}`);
    }
  }
  assert.equal(missing, []);
  assert.ok(count > 150, `${count} names`);
});

test('a name that is nowhere is noticed', () => {
  assert.equal(namesIn('`kv/commit.ts` and `nowhere.ts`, not `a = b.ts` or `commit`'), ['kv/commit.ts', 'nowhere.ts']);
  assert.ok(isThere('kv/commit.ts', 'docs/architecture.md'));
  assert.ok(isThere('commit.ts', 'src/kv/README.md'));
  assert.not.ok(isThere('nowhere.ts', 'docs/architecture.md'));
  assert.not.ok(isThere('gc/commit.ts', 'docs/architecture.md'));
});

test('docs/architecture.md walks a transaction, a GC run and a lease move through files', () => {
  const text = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
  for (const start of ['## A transaction through the files', '**A GC run, step by step.**', '**A lease move, step by step.**']) {
    const from = text.indexOf(start);
    assert.ok(from >= 0, start);
    const rest = text.slice(from + start.length);
    const walk = rest.slice(0, start.startsWith('##') ? rest.indexOf('\n## ') : rest.indexOf('\n\n'));
    assert.ok(namesIn(walk).length >= 4, `${start}: ${namesIn(walk).join(' ')}`);
  }
});
test.run();
