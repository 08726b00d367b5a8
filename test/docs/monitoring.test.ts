/**
 * docs/monitoring.md, the Grafana dashboard and the Prometheus rules: whatever they name is exported by a live server,
 * asked over its socket.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { Database } from '../../src/server/database.ts';
import { startHttpServer } from '../../src/server/httpServer.ts';
import { startPgServer } from '../../src/server/pgwire/pgServer.ts';

interface World {
  /** Names of /_status/vars, and those of /metrics. */
  vars: ReadonlySet<string>;
  families: ReadonlySet<string>;
}

const test = suite<World>('monitoring');

const DOCS = join(import.meta.dirname, '../../docs');
const read = (path: string): string => readFileSync(join(DOCS, path), 'utf8');

test.before(async (world) => {
  const database = await Database.open();
  const pg = await startPgServer(database, { host: '127.0.0.1', port: 0 });
  const http = await startHttpServer({ host: '127.0.0.1', port: 0, isReady: () => true, metrics: database.metrics });
  const names = async (path: string): Promise<ReadonlySet<string>> => {
    const text = await (await fetch(`http://127.0.0.1:${http.port}${path}`)).text();
    return new Set([...text.matchAll(/^([A-Za-z_:][\w:]*)\{/gm)].map(([, name = '']) => name));
  };
  world.vars = await names('/_status/vars');
  world.families = await names('/metrics');
  await http.close();
  await pg.close();
  await database.close();
});

/** What PromQL knows by itself, of what is used here. */
const WORDS = /^(?:sum|max|by|or|and|time|rate|increase|max_over_time|label_values|instance|node_id)$/;

/** Metrics of an expression. Throws when its brackets do not match, or a function has none. */
function metricsOf(expression: string): string[] {
  const bare = expression.replace(/\{[^{}]*\}/g, '').replace(/\[\d+[smhd]\]/g, '');
  let depth = 0;
  for (const char of bare) {
    if (char === '(') depth++;
    if (char === ')') depth--;
    assert.ok(depth >= 0, expression);
    assert.not('{}[]'.includes(char), expression);
  }
  assert.is(depth, 0, expression);
  assert.not.match(bare, /\b(?:sum|max|time|rate|increase|max_over_time)\b(?! by)(?!\s*\()/);
  return [...bare.matchAll(/[A-Za-z_:][\w:]*/g)].map(([word]) => word).filter((word) => !WORDS.test(word));
}

test('the dashboard is one, and every metric in it is exported', ({ vars }) => {
  const dashboard = JSON.parse(read('grafana/varve-backups.json')) as {
    title: string;
    templating: { list: { name: string; query: unknown }[] };
    panels: {
      id: number;
      type: string;
      title: string;
      gridPos: { x: number; y: number; w: number; h: number };
      targets?: { expr: string }[];
    }[];
  };
  const { panels } = dashboard;
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(
    dashboard.templating.list.map(({ name }) => name),
    ['datasource', 'instance'],
  );
  const missing: string[] = [];
  for (const { type, title, gridPos, targets = [] } of panels) {
    assert.ok(type === 'row' || targets.length > 0, `${title}: asks nothing`);
    assert.ok(gridPos.x + gridPos.w <= 24, `${title}: too wide`);
    for (const { expr } of targets) for (const name of metricsOf(expr)) if (!vars.has(name)) missing.push(`${title}: ${name}`);
  }
  for (const [i, a] of panels.entries()) {
    for (const b of panels.slice(i + 1)) {
      const [p, q] = [a.gridPos, b.gridPos];
      assert.not(p.x < q.x + q.w && q.x < p.x + p.w && p.y < q.y + q.h && q.y < p.y + p.h, `${a.title} over ${b.title}`);
    }
  }
  assert.equal(missing, []);
});

test('each rule has its parts, and every metric in them is exported', ({ vars }) => {
  const rules = read('grafana/alerts.yaml')
    .split(/^ {6}- alert: /m)
    .slice(1);
  assert.ok(rules.length >= 6);
  const missing: string[] = [];
  for (const rule of rules) {
    const [name = ''] = rule.split('\n');
    assert.match(name, /^[A-Z]\w+$/);
    assert.match(rule, /^ {8}labels:\n {10}severity: (?:critical|warning)$/m);
    assert.match(rule, /^ {8}annotations:\n {10}summary: \S.*\n {10}description: \S/m);
    const expression = /^ {8}expr: (.+)$/m.exec(rule)?.[1];
    assert.ok(expression, name);
    for (const metric of metricsOf(expression ?? '')) if (!vars.has(metric)) missing.push(`${name}: ${metric}`);
  }
  assert.equal(missing, []);
});

test('what the page names is exported, under its exported name', ({ vars, families }) => {
  const page = read('monitoring.md');
  const missing: string[] = [];
  // Tables of metrics: the first cell holds dotted names, `<type>` for a type of jobs.
  for (const [, cell = ''] of page.matchAll(/^\| (`[^|]+`) \| [CG] \|/gm)) {
    for (const [, dotted = ''] of cell.matchAll(/`([^`]+)`/g)) {
      const name = dotted.replaceAll('<type>', 'backup').replace(/[.-]/g, '_');
      if (!vars.has(name)) missing.push(dotted);
    }
  }
  assert.equal(missing, []);
  for (const family of ['jobs', 'jobs_resume', 'jobs_fail_or_cancel', 'schedules']) assert.ok(families.has(family), family);
});

test.run();
