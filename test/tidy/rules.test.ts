/** The tidy rules: each finds what it is for, and lets the right form pass. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LAYERS, checkCycles, checkLayers, layerOf } from '../../scripts/tidy/layers.ts';
import {
  LINES_MAX,
  checkDependencies,
  checkDeterminism,
  checkLength,
  checkOnly,
  checkPackages,
  checkReadmes,
} from '../../scripts/tidy/rules.ts';
import { formatViolation } from '../../scripts/tidy/source.ts';
import type { SourceFile, Violation } from '../../scripts/tidy/source.ts';

const file = (path: string, ...imports: string[]): SourceFile => ({
  path,
  text: imports.map((specifier) => `import '${specifier}';\n`).join(''),
});
const lines = (violations: readonly Violation[]) => violations.map(formatViolation);
const layers = suite('tidy: layers');

layers('the longest name that fits is the layer', () => {
  assert.is(layerOf('src/sql/parse/grammar/dml.ts'), 'sql/parse');
  assert.is(layerOf('src/sql/engine.ts'), 'sql');
  assert.is(layerOf('src/server/pgwire/codec.ts'), 'server');
  assert.is(layerOf('src/index.ts'), 'index');
  assert.is(layerOf('src/elsewhere/a.ts'), undefined);
});

layers('the table itself is a ladder: no layer reaches itself, and every name is a layer', () => {
  const reaches = (from: string, to: string): boolean => (LAYERS[from] ?? []).some((next) => next === to || reaches(next, to));
  for (const [layer, below] of Object.entries(LAYERS)) {
    assert.not.ok(reaches(layer, layer), layer);
    for (const name of below) assert.ok(name in LAYERS, name);
  }
});

layers('down passes; up, aside and out do not', () => {
  const good = [
    file('src/kv/txn.ts', '../mvcc/store.ts', './range.ts', 'node:fs'),
    file('src/storage/userfile.ts', '../catalog/catalog.ts'),
    file('src/restore/plan.ts', '../backup/manifest.ts'),
    file('test/kv/txn.test.ts', '../../src/cli/main.ts'),
  ];
  assert.equal(checkLayers(good), []);
  const bad: [SourceFile, string][] = [
    [file('src/mvcc/store.ts', '../kv/txn.ts'), 'src/mvcc/store.ts:1: layer mvcc may not import kv: ../kv/txn.ts'],
    [
      file('src/sql/exec/show.ts', '../../backup/show.ts'),
      'src/sql/exec/show.ts:1: layer sql/exec may not import backup: ../../backup/show.ts',
    ],
    [file('src/sql/parse/ast.ts', '../plan/plan.ts'), 'src/sql/parse/ast.ts:1: layer sql/parse may not import sql/plan: ../plan/plan.ts'],
    [file('src/jobs/job.ts', '../storage/uri.ts'), 'src/jobs/job.ts:1: layer jobs may not import storage: ../storage/uri.ts'],
    [file('src/backup/job.ts', '../restore/plan.ts'), 'src/backup/job.ts:1: layer backup may not import restore: ../restore/plan.ts'],
    [
      file('src/restore/job.ts', './a.ts', '../backup/backupPlanning.ts'),
      "src/restore/job.ts:2: restore may import backup's formats only: ../backup/backupPlanning.ts",
    ],
    [
      file('src/base/span.ts', '../../test/support/golden.ts'),
      'src/base/span.ts:1: src may import nothing outside src: ../../test/support/golden.ts',
    ],
    [file('src/utils/a.ts'), 'src/utils/a.ts:1: this folder has no layer; add it to scripts/tidy/layers.ts'],
  ];
  for (const [source, message] of bad) assert.equal(lines(checkLayers([source])), [message]);
});

layers('cycles show a shortest way round, once', () => {
  const files = [
    file('a.ts', './b.ts'),
    file('b.ts', './c.ts', './d.ts'),
    file('c.ts', './a.ts'),
    file('d.ts', './c.ts'),
    file('e.ts', './a.ts'),
  ];
  assert.equal(lines(checkCycles(files)), [
    'a.ts:1: import cycle: a.ts -> b.ts -> c.ts -> a.ts',
    'd.ts:1: import cycle: d.ts -> c.ts -> a.ts -> b.ts -> d.ts',
  ]);
  assert.equal(lines(checkCycles([file('a.ts', './a.ts')])), ['a.ts:1: import cycle: a.ts -> a.ts']);
  assert.equal(checkCycles([file('a.ts', './b.ts', './c.ts'), file('b.ts', './c.ts'), file('c.ts')]), []);
});
layers.run();

const rules = suite('tidy: rules');

rules('packages have their places', () => {
  const good = [
    file('src/kv/writeBuffer.ts', 'sorted-btree'),
    file('src/jobs/jobMachine.ts', 'xstate'),
    file('src/storage/http.ts', 'undici', 'node:crypto'),
    file('src/server/pgwire.ts', 'node:net'),
    file('test/a.test.ts', 'pg', 'sorted-btree'),
  ];
  assert.equal(checkPackages(good), []);
  for (const [path, specifier] of [
    ['src/kv/txn.ts', 'sorted-btree'],
    ['src/jobs/job.ts', 'xstate/graph'],
    ['src/sql/exec/a.ts', 'chevrotain'],
    ['src/kv/cluster/net.ts', 'node:net'],
    ['src/kv/a.ts', '@scope/unknown/deep'],
  ] as const) {
    assert.is(checkPackages([file(path, specifier)]).length, 1, `${path} ${specifier}`);
  }
});

rules('what src imports is a dependency', () => {
  const files = [file('src/a.ts', 'pg', 'xstate/graph', 'node:fs', './b.ts'), file('test/a.test.ts', 'fast-check')];
  assert.equal(checkDependencies(files, ['pg', 'xstate']), []);
  assert.equal(lines(checkDependencies(files, ['pg'])), ['src/a.ts:2: package "xstate" is not among the dependencies in package.json']);
});

rules('time and chance', () => {
  const check = (text: string, path = 'src/kv/txn.ts') => checkDeterminism([{ path, text }]).length;
  for (const text of [
    'Date.now()',
    'new Date()',
    'new Date',
    'Math.random()',
    'setTimeout(f, 1)',
    'globalThis.setInterval(f, 1)',
    'performance.now()',
    'crypto.randomUUID()',
    'process.hrtime.bigint()',
  ]) {
    assert.is(check(`const a = ${text};`), 1, text);
    assert.is(check(`const a = ${text};`, 'src/base/systemClock.ts'), 0, text);
    assert.is(check(`const a = ${text};`, 'test/kv/txn.test.ts'), 0, text);
    assert.is(check(`// ${text}\nconst a = "${text}";`), 0, text);
  }
  for (const text of ['new Date(millis)', 'new DateRange()', 'clock.setTimer(1, f)', 'socket.setTimeout(1)', 'Date.UTC(2026, 1)']) {
    assert.is(check(`const a = ${text};`), 0, text);
  }
});

rules('a forgotten .only', () => {
  assert.equal(lines(checkOnly([{ path: 'test/a.test.ts', text: "\ntest.only('a', f);" }])), [
    'test/a.test.ts:2: "test.only(" hides the other tests of the suite',
  ]);
});

rules('length and READMEs', () => {
  assert.equal(checkLength([{ path: 'a.ts', text: 'x\n'.repeat(LINES_MAX) }]), []);
  assert.is(checkLength([{ path: 'a.ts', text: 'x\n'.repeat(LINES_MAX + 1) }]).length, 1);
  assert.equal(lines(checkReadmes(['src/kv/a.ts', 'src/kv/README.md', 'src/sql/parse/b.ts', 'src/index.ts', 'src/empty/README.md'])), [
    'src/sql:1: no README.md says what this folder is',
  ]);
});
rules.run();
