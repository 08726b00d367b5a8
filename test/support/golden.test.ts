/** The golden runner itself: reading, rendering, and what a child process that runs a suite reports. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parseGolden, renderGolden } from './golden.ts';

const reading = suite('golden: reading');

function commandOf(line: string) {
  const block = parseGolden(`${line}\n----\n`, 'f').blocks[0];
  assert.ok(block);
  return block.command;
}

reading('arguments: flags, values, quotes, lists', () => {
  const command = commandOf('put a k=v q="a \\"b\\" c" list=(x, "y, z",w) empty=() url=mem://c?a=b none=  last');
  assert.is(command.name, 'put');
  assert.equal(
    [...command.args],
    [
      ['a', []],
      ['k', ['v']],
      ['q', ['a "b" c']],
      ['list', ['x', 'y, z', 'w']],
      ['empty', []],
      ['url', ['mem://c?a=b']],
      ['none', ['']],
      ['last', []],
    ],
  );
  assert.is(command.arg('k'), 'v');
  assert.is(command.arg('a'), undefined);
  assert.ok(command.has('a'));
  assert.not.ok(command.has('b'));
});

reading('comments, input with blank lines, output, and where it stands', () => {
  const { blocks } = parseGolden('# why\n\nrun\na\n\nb\n----\n1\n2\n\n# next\nstop\n----\n', 'some/file');
  assert.is(blocks.length, 2);
  assert.is(blocks[0]?.command.input, 'a\n\nb');
  assert.is(blocks[0]?.expected, '1\n2');
  assert.is(blocks[0]?.command.where, 'some/file:3');
  assert.is(blocks[1]?.command.input, '');
  assert.is(blocks[1]?.expected, '');
});

reading('output between double separators holds blank lines', () => {
  const { blocks } = parseGolden('run\n----\n----\na\n\nb\n----\n----\n\nrun\n----\nc\n', 'f');
  assert.equal(
    blocks.map((block) => block.expected),
    ['a\n\nb', 'c'],
  );
});

reading('malformed scripts are errors that name the line', () => {
  assert.throws(() => parseGolden('# only a comment\n', 'f'), /^f:1: no command/);
  assert.throws(() => parseGolden('a\n----\n\nb\nc\n', 'f'), /^f:4: no "----"/);
  assert.throws(() => parseGolden('\n----\n', 'f'), /^f:2: "----" without a command/);
  assert.throws(() => parseGolden('a\n----\n----\nx\n----\n', 'f'), /^f:1: no closing pair/);
  assert.throws(() => parseGolden('a\n----\n----\nx\n----\n----\ny\n', 'f'), /^f:1: no blank line/);
  assert.throws(() => parseGolden('a k="x\n----\n', 'f'), /unclosed quote/);
  assert.throws(() => parseGolden('a k=(x\n----\n', 'f'), /unclosed list/);
  assert.throws(() => parseGolden('a k="x"y\n----\n', 'f'), /no space between arguments/);
  assert.throws(() => parseGolden('a k k=1\n----\n', 'f'), /given twice/);
});
reading.run();

const rendering = suite('golden: rendering');

rendering('right outputs leave the file as it was', () => {
  const text = '# one\n\nrun k=(a,  b)\nin\n\nput\n----\n1\n\n\n# two\nrun\n----\n----\na\n\nb\n----\n----\n\n# the end\n';
  const script = parseGolden(text, 'f');
  assert.is(
    renderGolden(
      script,
      script.blocks.map((block) => block.expected),
    ),
    text,
  );
});

rendering('any output reads back as itself', () => {
  for (const output of ['', 'a', 'a\nb', '\na', 'a\n\nb', 'a\n \nb', '----\na', 'a\n----\nb\n\nc', '# no comment']) {
    const script = parseGolden('run\n----\nold\n\n# next\nrun\n----\nold\n', 'f');
    const blocks = parseGolden(renderGolden(script, [output, `${output}\n`]), 'f').blocks;
    assert.equal(
      blocks.map((block) => block.expected),
      [output, output],
    );
  }
});

rendering('output that would close its own block is refused', () => {
  const script = parseGolden('run\n----\n', 'f');
  assert.throws(() => renderGolden(script, ['a\n\n----\n----\nb']), /two "----" lines/);
  assert.throws(() => renderGolden(script, ['a\n\n----']), /two "----" lines/);
});
rendering.run();

const running = suite('golden: running');

/** Runs a suite over `files` in a process of its own; the handler repeats its input in upper case. */
function runSuite(files: Record<string, string>, env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'varve-golden-'));
  try {
    mkdirSync(join(folder, 'scripts'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'scripts', name), text);
    const program = `
      import { goldenSuite } from ${JSON.stringify(new URL('./golden.ts', import.meta.url).href)};
      goldenSuite(${JSON.stringify(join(folder, 'scripts'))}, (file) => {
        if (file.endsWith('unmakeable')) throw new Error('cannot be made');
        return {
          run(command) {
            if (command.name === 'fail') throw new Error('boom');
            return command.input.toUpperCase() + '\\n';
          },
          close() { console.log('closed'); },
        };
      });`;
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', program];
    // The program has no file, so uvu resolves through golden.ts alone.
    const result = spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, REWRITE: '', NO_COLOR: '1', ...env } });
    const after = Object.fromEntries(Object.keys(files).map((name) => [name, readFileSync(join(folder, 'scripts', name), 'utf8')]));
    return { status: result.status, output: result.stdout + result.stderr, after };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

running('right and wrong outputs count one by one, and wrong ones show file, line and difference', () => {
  const { status, output } = runSuite({ good: 'say\nhello\n----\nHELLO\n', bad: 'say\na\nb\n----\nA\nC\n\nsay\nx\n----\nX\n' });
  assert.is(status, 1);
  assert.match(output, /Total: {5}3\n {2}Passed: {4}2\n/);
  assert.match(output, /unexpected output of "say" at .*bad:1/);
  assert.match(output, /Expected:\n.*C/);
  assert.is(output.match(/closed/g)?.length, 2);
});

running('a handler that throws or cannot be made fails the tests', () => {
  const { status, output } = runSuite({ throwing: 'fail\n----\n\nsay\na\n----\nA\n', unmakeable: 'say\n----\n' });
  assert.is(status, 1);
  assert.match(output, /Total: {5}3\n {2}Passed: {4}1\n/);
  assert.match(output, /boom/);
  assert.match(output, /cannot be made/);
});

running('REWRITE=1 writes what came, and leaves a file alone whose handler threw', () => {
  const files = { stale: '# kept\nsay\na\n----\nwrong\n', throwing: 'say\na\n----\nwrong\n\nfail\n----\nwrong\n' };
  const { after } = runSuite(files, { REWRITE: '1' });
  assert.is(after.stale, '# kept\nsay\na\n----\nA\n');
  assert.is(after.throwing, files.throwing);
});

running('a folder without files is an error', () => {
  const { status, output } = runSuite({});
  assert.is.not(status, 0);
  assert.match(output, /no golden files/);
});
running.run();
