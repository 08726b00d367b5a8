/** The scanner under the tidy rules: what is code, and what is imported. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { codeOf, importsOf, lineAt, resolveImport } from '../../scripts/tidy/source.ts';

const test = suite('tidy: source');

test('comments, strings, templates and regular expressions are blank; the rest keeps its place', () => {
  const cases: [text: string, code: string][] = [
    ["a('x'); // b", "a(' ');     "],
    ['/* a\nb */ c', '    \n     c'],
    ['"it\'s" + \'"\' + d', '"    " + \' \' + d'],
    ["'\\'' + e", "'  ' + e"],
    ["'//' + f // g", "'  ' + f     "],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text under test is a template
    ['`a ${b + `c ${{ d }}`} e` + f', '`  ${b + `  ${{ d }}`}  ` + f'],
    ['a / b / c', 'a / b / c'],
    ['x = /[/"]+\\//g; y', 'x = /         ; y'],
    ["return /'/.test(z)", 'return /  .test(z)'],
  ];
  for (const [text, code] of cases) assert.is(codeOf(text), code);
});

test('every form of import counts, type-only ones too', () => {
  const text = [
    "import './a.ts';",
    "import type { B } from './b.ts';",
    "import c, { type C as D } from 'c';",
    "import * as d from 'd/e';",
    'import {',
    '  e,',
    "} from './e.ts';",
    "export { f } from './f.ts';",
    "export * from './g.ts';",
    "const h = await import('./h.ts');",
    "let i: import('./i.ts').I;",
  ].join('\n');
  assert.equal(
    importsOf({ path: 'x', text }).map(({ line, specifier }) => `${line} ${specifier}`),
    ['1 ./a.ts', '2 ./b.ts', '3 c', '4 d/e', '5 ./e.ts', '8 ./f.ts', '9 ./g.ts', '10 ./h.ts', '11 ./i.ts'],
  );
});

test('what only looks like an import does not count', () => {
  const text =
    "// import './a.ts'\nconst s = \"import './b.ts'\";\nexport const from = 'c';\nexport default 'd';\nimport.meta.url;\n/* from './e.ts' */";
  assert.equal(importsOf({ path: 'x', text }), []);
});

test('relative specifiers resolve from the file, packages do not', () => {
  assert.is(resolveImport('src/sql/parse/ast.ts', '../../base/span.ts'), 'src/base/span.ts');
  assert.is(resolveImport('src/index.ts', './kv/txn.ts'), 'src/kv/txn.ts');
  assert.is(resolveImport('src/index.ts', 'xstate'), undefined);
});

test('lines count from one', () => {
  assert.equal(
    [0, 1, 2, 3].map((offset) => lineAt('a\nb\n', offset)),
    [1, 1, 2, 2],
  );
});
test.run();
