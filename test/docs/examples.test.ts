/**
 * Every TypeScript example of the README and of docs/ runs. A block counts when a comment
 * `<!-- example: name -->` stands right before it; it imports the package by its name, as a user would.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('examples in the docs');
const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);

interface Example {
  readonly name: string;
  readonly code: string;
}

function examplesOf(file: string, text: string): Example[] {
  return [...text.matchAll(/<!-- example: ([\w-]+) -->\n```ts\n(.*?)```/gs)].map((match) => ({
    name: `${file}: ${match[1]}`,
    code: (match[2] as string).replaceAll("from 'varve'", `from '${pathToFileURL(join(root, 'src', 'index.ts')).href}'`),
  }));
}

const pages = [
  'README.md',
  ...(await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
];
const examples = (await Promise.all(pages.map(async (page) => examplesOf(page, await readFile(join(root, page), 'utf8'))))).flat();

test('there are examples', () => {
  assert.ok(examples.length > 0);
});

for (const example of examples) {
  test(example.name, async () => {
    // Below the checkout, so that the example finds the packages that the project has.
    const folder = await mkdtemp(join(root, 'test', 'docs', '.example-'));
    try {
      const file = join(folder, 'example.mts');
      await writeFile(file, example.code);
      const { stdout } = await run(process.execPath, [file], { cwd: folder, timeout: 30_000 });
      const expected = [...example.code.matchAll(/\/\/ prints (.*)$/gm)].map((match) => match[1]);
      for (const line of expected) assert.ok(stdout.includes(line as string), `expected ${line} in:\n${stdout}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test.run();
