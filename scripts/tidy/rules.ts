/**
 * Tidy rules on single files: packages where they belong, time and chance only where they are
 * injected from, tests that all run, files of readable length, a README in each folder of src.
 */
import { codeOf, importsOf, lineAt } from './source.ts';
import type { SourceFile, Violation } from './source.ts';

/** Third-party packages, and the sockets and timers of Node, with the paths in src that may import them. */
export const PACKAGES: Readonly<Record<string, RegExp>> = {
  re2js: /^src\/sql\/expr\//,
  'sorted-btree': /^src\/(?:kv\/writeBuffer|schedules\/dueIndex)/,
  croner: /^src\/schedules\/recurrence/,
  xstate: /(?:Machine|Actor)\.ts$|^src\/(?:kv\/(?:cluster|rangeQueue)|jobs\/(?:registry|protectionReconciler)|schedules\/executor)\.ts$/,
  undici: /^src\/storage\//,
  '@aws-sdk/client-kms': /^src\/storage\/kms\//,
  '@aws-sdk/client-s3': /^src\/storage\/s3\//,
  '@aws-sdk/credential-providers': /^src\/storage\/awsCredentials/,
  '@google-cloud/kms': /^src\/storage\/kms\//,
  'google-auth-library': /^src\/storage\/googleCredentials/,
  '@azure/keyvault-keys': /^src\/storage\/kms\//,
  '@azure/identity': /^src\/storage\/azureCredentials/,
  '@azure/storage-blob': /^src\/storage\/azure\//,
  chevrotain: /^src\/sql\/parse\//,
  'decimal.js': /^src\/(?:base|catalog|sql)\//,
  hyperid: /^src\/base\//,
  pg: /^src\/cli\//,
  'prom-client': /^src\/server\/metricsText/,
  'node:net': /^src\/(?:server|console|cli)\//,
  'node:tls': /^src\/(?:server|console|cli|storage\/http)\//,
  'node:http': /^src\/(?:server|console|cli|storage\/connectionCounts)/,
  'node:https': /^src\/(?:server|console|cli)\//,
  'node:timers': /^src\/(?:base\/system\w*\.ts$|cli\/)/,
  'node:timers/promises': /^src\/(?:base\/system\w*\.ts$|cli\/)/,
};

/** Where the outside comes in; everything else takes Clock, Random and Ids as arguments. */
const MAY_KNOW_THE_OUTSIDE = /^src\/(?:base\/(?:system\w*|executor)\.ts$|cli\/)/;
const OUTSIDE = [
  /\bDate\.now\b/g,
  /\bnew Date(?:\(\s*\)|(?!\s*\(|\w))/g,
  /\bMath\.random\b/g,
  /(?:\bglobalThis\.|(?<![.\w$]))(?:setTimeout|setInterval)\b(?=\s*\()/g,
  /\bperformance\.now\b/g,
  /\bprocess\.hrtime\b/g,
  /\brandomUUID\b/g,
];

/** More lines than this hide more than one idea. */
export const LINES_MAX = 600;

/** A package in src where the table does not place it, or one that the table does not know. */
export function checkPackages(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const file of files) {
    if (!file.path.startsWith('src/')) continue;
    for (const { line, specifier } of importsOf(file)) {
      const name = packageName(specifier);
      if (name === undefined) continue;
      const place = PACKAGES[name];
      if (place === undefined) {
        if (!name.startsWith('node:'))
          violations.push({ path: file.path, line, message: `package "${name}" has no place in scripts/tidy/rules.ts` });
      } else if (!place.test(file.path)) {
        violations.push({ path: file.path, line, message: `"${name}" may be imported only by ${place.source}` });
      }
    }
  }
  return violations;
}

/** Packages that src imports and an installation would not bring. `dependencies` are package.json's with the optional peers, without those of development. */
export function checkDependencies(files: readonly SourceFile[], dependencies: readonly string[]): Violation[] {
  return files
    .filter(({ path }) => path.startsWith('src/'))
    .flatMap((file) => importsOf(file).map(({ line, specifier }) => ({ path: file.path, line, name: packageName(specifier) })))
    .filter(({ name }) => name !== undefined && !name.startsWith('node:') && !dependencies.includes(name))
    .map(({ path, line, name }) => ({ path, line, message: `package "${name}" is not among the dependencies in package.json` }));
}

/** The package or built-in that a specifier names; undefined for a file. */
function packageName(specifier: string): string | undefined {
  if (specifier.startsWith('.')) return undefined;
  if (specifier.startsWith('node:')) return specifier;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Time, timers and chance taken from the process instead of an argument. */
export function checkDeterminism(files: readonly SourceFile[]): Violation[] {
  const inner = files.filter(({ path }) => path.startsWith('src/') && !MAY_KNOW_THE_OUTSIDE.test(path));
  return find(inner, OUTSIDE, (found) => `"${found}": time and chance come from the injected Clock, Random and Ids`);
}

/** A `.only` left in a test file hides every other test of its suite. */
export function checkOnly(files: readonly SourceFile[]): Violation[] {
  return find(
    files.filter(({ path }) => path.endsWith('.test.ts')),
    [/\b\w+\.only\(/g],
    (found) => `"${found}" hides the other tests of the suite`,
  );
}

function find(files: readonly SourceFile[], patterns: readonly RegExp[], message: (found: string) => string): Violation[] {
  return files.flatMap(({ path, text }) => {
    const code = codeOf(text);
    return patterns.flatMap((pattern) =>
      [...code.matchAll(pattern)].map((match) => ({ path, line: lineAt(code, match.index), message: message(match[0]) })),
    );
  });
}

export function checkLength(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }) => {
    const lines = lineAt(text, text.length - 1);
    return lines > LINES_MAX
      ? [{ path, line: LINES_MAX, message: `${lines} lines; above ${LINES_MAX} a file holds more than one idea` }]
      : [];
  });
}

/** `paths` are all files of the project, of any kind. */
export function checkReadmes(paths: readonly string[]): Violation[] {
  const folders = new Set(paths.flatMap((path) => /^src\/[^/]+(?=\/.*\.ts$)/.exec(path)?.[0] ?? []));
  return [...folders]
    .filter((folder) => !paths.includes(`${folder}/README.md`))
    .sort()
    .map((folder) => ({ path: folder, line: 1, message: 'no README.md says what this folder is' }));
}
