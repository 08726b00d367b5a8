/**
 * Layers: which folder of src may import which, and no cycles between files anywhere.
 *
 * The table is docs/architecture.md's picture in data: each layer names everything it may import
 * beside itself. A folder that is not in the table is a violation, so that none escapes it.
 */
import { importsOf, resolveImport } from './source.ts';
import type { SourceFile, Violation } from './source.ts';

const upToCatalog = ['base', 'mvcc', 'gc', 'kv', 'catalog'];
const upToJobs = [...upToCatalog, 'storage', 'jobs'];
const sqlParts = ['sql/parse', 'sql/expr', 'sql/plan', 'sql/exec'];
/** What a statement's implementation above sql may use: the syntax, expressions, and the session's hooks. */
const sqlForStatements = ['sql/parse', 'sql/expr', 'sql/exec'];
const upToSchedules = [...upToJobs, ...sqlParts, 'sql', 'backup', 'restore', 'schedules'];

/** From a layer to all that it may import. The longest name that fits a path is its layer. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  mvcc: ['base'],
  gc: ['base', 'mvcc'],
  kv: ['base', 'mvcc', 'gc'],
  catalog: ['base', 'mvcc', 'gc', 'kv'],
  storage: upToCatalog,
  jobs: ['base', 'kv', 'catalog'],
  'sql/parse': ['base', 'catalog'],
  'sql/expr': [...upToCatalog, 'sql/parse'],
  'sql/plan': [...upToJobs, 'sql/parse', 'sql/expr'],
  'sql/exec': [...upToJobs, 'sql/parse', 'sql/expr', 'sql/plan'],
  sql: [...upToJobs, ...sqlParts],
  backup: [...upToJobs, ...sqlForStatements],
  restore: [...upToJobs, ...sqlForStatements, 'backup'],
  schedules: [...upToJobs, ...sqlForStatements, 'sql/plan', 'backup', 'restore'],
  server: upToSchedules,
  index: [...upToSchedules, 'server'],
  console: [...upToSchedules, 'server'],
  cli: [...upToSchedules, 'server', 'console', 'index'],
};

/** Of these, restore uses the formats and the chain, not how a backup is planned and run. */
const NOT_FOR_RESTORE = /^src\/backup\/.*(?:Planning|Job|Statements?)\.ts$/;

/** The layer of a path in src; undefined when the table has none. */
export function layerOf(path: string): string | undefined {
  const inSrc = path.replace(/^src\//, '').replace(/^index\.ts$/, 'index/index.ts');
  const names = Object.keys(LAYERS).filter((name) => inSrc.startsWith(`${name}/`));
  return names.sort((a, b) => b.length - a.length)[0];
}

/** Imports that point up or aside, src on test or scripts, and folders without a layer. */
export function checkLayers(files: readonly SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const file of files) {
    if (!file.path.startsWith('src/')) continue;
    const layer = layerOf(file.path);
    if (layer === undefined) {
      violations.push({ path: file.path, line: 1, message: 'this folder has no layer; add it to scripts/tidy/layers.ts' });
      continue;
    }
    for (const { line, specifier } of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      if (target === undefined) continue;
      const problem = problemOf(layer, target);
      if (problem !== undefined) violations.push({ path: file.path, line, message: `${problem}: ${specifier}` });
    }
  }
  return violations;
}

function problemOf(layer: string, target: string): string | undefined {
  if (!target.startsWith('src/')) return 'src may import nothing outside src';
  const targetLayer = layerOf(target);
  if (targetLayer === undefined) return 'imported folder has no layer';
  if (targetLayer !== layer && !LAYERS[layer]?.includes(targetLayer)) return `layer ${layer} may not import ${targetLayer}`;
  if (layer === 'restore' && NOT_FOR_RESTORE.test(target)) return "restore may import backup's formats only";
  return undefined;
}

/** One violation for each group of files that import one another, with a shortest way round. */
export function checkCycles(files: readonly SourceFile[]): Violation[] {
  const graph = new Map<string, string[]>();
  for (const file of files) {
    graph.set(
      file.path,
      importsOf(file).flatMap(({ specifier }) => resolveImport(file.path, specifier) ?? []),
    );
  }
  const violations: Violation[] = [];
  const reported = new Set<string>();
  for (const path of [...graph.keys()].sort()) {
    if (reported.has(path)) continue;
    const cycle = shortestCycle(graph, path);
    if (cycle === undefined) continue;
    for (const member of cycle) reported.add(member);
    violations.push({ path, line: 1, message: `import cycle: ${[...cycle, path].join(' -> ')}` });
  }
  return violations;
}

/** The files of a shortest cycle through `start`, from it on; undefined when it lies on none. Breadth first. */
function shortestCycle(graph: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string | undefined>([[start, undefined]]);
  const queue = [start];
  for (const path of queue) {
    for (const next of graph.get(path) ?? []) {
      if (next === start) {
        const cycle: string[] = [];
        for (let at: string | undefined = path; at !== undefined; at = cameFrom.get(at)) cycle.unshift(at);
        return cycle;
      }
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, path);
      queue.push(next);
    }
  }
  return undefined;
}
