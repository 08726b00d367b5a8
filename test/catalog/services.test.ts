import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { prettyKey, prettySpan } from '../../src/base/prettyKey.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../../src/base/timestamp.ts';
import type { NameContext } from '../../src/catalog/catalog.ts';
import { DEFAULTDB_ID, PUBLIC_SCHEMA_ID, type Privilege } from '../../src/catalog/descriptor.ts';
import { checkPrivilege, hasPrivilege, ownerPrivileges, privilegesOf, withGrant, withoutGrant } from '../../src/catalog/privileges.ts';
import { initializeSequence, readSequence, sequenceOptions } from '../../src/catalog/sequences.ts';
import { formatByteSize, parseSetting, printSetting, requireSetting, SETTINGS } from '../../src/catalog/settings.ts';
import { systemTable } from '../../src/catalog/systemRows.ts';
import { systemTables } from '../../src/catalog/systemTables.ts';
import { Decimal } from '../../src/catalog/datum.ts';
import { quoteLiteral, quoteName, quoteNames } from '../../src/catalog/names.ts';
import { indexSpan } from '../../src/catalog/rowCodec.ts';
import { resolveTargets, type TargetPattern, targetSpans } from '../../src/catalog/targets.ts';
import { Type } from '../../src/catalog/type.ts';
import {
  createUser,
  dropUser,
  grantRole,
  listUsers,
  normalizeUserName,
  revokeRole,
  rolesOf,
  setRoleOption,
} from '../../src/catalog/users.ts';
import { zoneSetting } from '../../src/catalog/zoneConfig.ts';
import { configureZone, discardZone, parentValue, rangeZone, type ZoneTarget, ZoneSet } from '../../src/catalog/zones.ts';
import { type TestCluster, testCluster, testTable } from './support.ts';

const code = (expected: string) => (error: unknown) => isVarveError(error) && error.code === expected;

async function rejects(promise: Promise<unknown>, expected: string, message?: RegExp): Promise<void> {
  try {
    await promise;
  } catch (error) {
    assert.ok(code(expected)(error), String(error));
    if (message) assert.match((error as Error).message, message);
    return;
  }
  assert.unreachable(`no ${expected}`);
}

async function addTable(cluster: TestCluster, name: string, parentId = DEFAULTDB_ID): Promise<number> {
  const { catalog, kv } = cluster;
  const id = await catalog.allocateIds(1);
  await kv.run(async (txn) => {
    catalog.writeName(txn, parentId, PUBLIC_SCHEMA_ID, name, id);
    const columns = [
      { name: 'id', type: Type.Int8 },
      { name: 'v', type: Type.String },
    ];
    catalog.writeDescriptor(txn, testTable(id, name, columns, ['id'], { parentId, indexes: [{ name: 'i', columns: ['v'] }] }));
  });
  return id;
}

const zones = suite('zones');

async function configure(cluster: TestCluster, target: ZoneTarget, name: string, value: number | string | boolean): Promise<void> {
  await cluster.kv.run(async (txn) => configureZone(txn, await cluster.catalog.snapshot(txn), target, zoneSetting(name, value)));
}

async function zoneSet(cluster: TestCluster): Promise<ZoneSet> {
  return ZoneSet.read(cluster.kv.at(cluster.kv.reading()), await cluster.catalog.current());
}

zones('variables are inherited one by one: index, table, database, RANGE default', async () => {
  const cluster = await testCluster();
  const id = await addTable(cluster, 't');
  const table: ZoneTarget = { kind: 'table', id };
  const index: ZoneTarget = { kind: 'index', id, indexId: 2 };
  const database: ZoneTarget = { kind: 'database', id: DEFAULTDB_ID };
  assert.is((await zoneSet(cluster)).show(index).target, 'RANGE default');
  await configure(cluster, database, 'num_replicas', 5);
  await configure(cluster, table, 'gc.ttlseconds', 600);
  const set = await zoneSet(cluster);
  assert.equal(
    [set.effective(index).gcTtlSeconds, set.effective(index).numReplicas, set.effective(database).gcTtlSeconds],
    [600, 5, 14400],
  );
  assert.equal(set.show(index), {
    target: 'TABLE defaultdb.public.t',
    rawConfigSql:
      'ALTER TABLE defaultdb.public.t CONFIGURE ZONE USING\n\trange_min_bytes = 134217728,\n\trange_max_bytes = 536870912,\n' +
      "\tgc.ttlseconds = 600,\n\tnum_replicas = 5,\n\tconstraints = '[]',\n\tlease_preferences = '[]'",
  });
  await configure(cluster, index, 'gc.ttlseconds', 300);
  assert.equal(
    (await zoneSet(cluster)).showAll().map((zone) => zone.target),
    [
      'RANGE default',
      'DATABASE system',
      'RANGE meta',
      'RANGE system',
      'RANGE liveness',
      'DATABASE defaultdb',
      'TABLE defaultdb.public.t',
      'INDEX defaultdb.public.t@i',
    ],
  );
  const only = (await zoneSet(cluster)).showAll().at(-1)?.rawConfigSql;
  assert.is(only, 'ALTER INDEX defaultdb.public.t@i CONFIGURE ZONE USING\n\tgc.ttlseconds = 300');
  assert.equal(parentValue(await zoneSet(cluster), table, 'gcTtlSeconds'), { gcTtlSeconds: 14400 });
  await cluster.kv.run(async (txn) => discardZone(txn, await cluster.catalog.snapshot(txn), table));
  assert.is((await zoneSet(cluster)).effective(index).gcTtlSeconds, 300);
  assert.is((await zoneSet(cluster)).show(table).target, 'DATABASE defaultdb');
});

zones('GC sees the effective TTL, and raising it never brings a threshold back', async () => {
  const cluster = await testCluster();
  const { kv, clock } = cluster;
  const id = await addTable(cluster, 't');
  const table: ZoneTarget = { kind: 'table', id };
  assert.equal(cluster.zones.configOf(id)?.ttlSeconds, 14400);
  assert.equal(cluster.zones.configOf(id)?.ancestors, [DEFAULTDB_ID, PUBLIC_SCHEMA_ID]);
  assert.is(cluster.zones.configOf(3)?.isCatalog, true);
  await configure(cluster, { kind: 'range', name: 'default' }, 'gc.ttlseconds', 7200);
  assert.is(cluster.zones.configOf(id)?.ttlSeconds, 7200);
  await configure(cluster, table, 'gc.ttlseconds', 600);
  await clock.advance('2h');
  const before = kv.gc.thresholds.explain(id).threshold;
  await configure(cluster, table, 'gc.ttlseconds', 90000);
  const after = kv.gc.thresholds.explain(id);
  assert.ok(after.threshold >= before, `${after.threshold} < ${before}`);
  assert.is(after.ttlSeconds, 90000);
});

zones('bad settings are refused', async () => {
  const cluster = await testCluster();
  const id = await addTable(cluster, 't');
  const table: ZoneTarget = { kind: 'table', id };
  assert.throws(() => zoneSetting('gc.ttl', 1), /unsupported zone config parameter: "gc.ttl"/);
  assert.throws(() => zoneSetting('gc.ttlseconds', 'soon'), code('42804'));
  assert.throws(() => zoneSetting('constraints', 'region'), code('22023'));
  assert.throws(() => rangeZone('moon'), code('42704'));
  await rejects(configure(cluster, table, 'gc.ttlseconds', 0), '23514', /GC.TTLSeconds 0 less than minimum allowed 1/);
  await rejects(configure(cluster, table, 'range_min_bytes', 90000), '23514', /must be set together/);
  await rejects(configure(cluster, table, 'num_replicas', 2), '23514', /at least 3 replicas/);
  await rejects(
    cluster.kv.run(async (txn) => configureZone(txn, await cluster.catalog.snapshot(txn), table, { rangeMinBytes: 5, rangeMaxBytes: 5 })),
    '23514',
    /greater than or equal to/,
  );
  await rejects(
    cluster.kv.run(async (txn) => discardZone(txn, await cluster.catalog.snapshot(txn), rangeZone('default'))),
    '23514',
  );
  assert.is((await zoneSet(cluster)).own(table), undefined);
});

zones.run();

const settings = suite('cluster settings');

settings('values are typed, printed and read back', () => {
  const prints = (name: string, input: string | number | boolean, output: string) => {
    const setting = requireSetting(name);
    assert.is(printSetting(setting, parseSetting(setting, input)), output);
  };
  prints('feature.backup.enabled', 'off', 'false');
  prints('JOBS.retention_time', '336h', '336h0m0s');
  prints('bulkio.backup.file_size', '1.5GiB', '1.5 GiB');
  prints('bulkio.backup.file_size', 134217728, '128 MiB');
  prints('backup.compaction.threshold', 4, '4');
  prints('sql.defaults.serial_normalization', 'SQL_SEQUENCE', 'sql_sequence');
  assert.is(formatByteSize(0), '0 B');
  for (const setting of SETTINGS) {
    if (setting.readOnly) continue;
    assert.is(parseSetting(setting, printSetting(setting, setting.default)), setting.default, setting.name);
  }
});

settings('unknown names and bad values are refused', () => {
  const parse = (name: string, value: string) => () => parseSetting(requireSetting(name), value);
  assert.throws(parse('no.such', '1'), code('42704'));
  assert.throws(parse('feature.backup.enabled', 'maybe'), code('22023'));
  assert.throws(parse('backup.compaction.threshold', '-1'), code('22023'));
  assert.throws(parse('backup.compaction.threshold', '1.5'), code('22023'));
  assert.throws(parse('jobs.retention_time', 'soon'), code('22023'));
  assert.throws(parse('sql.defaults.serial_normalization', 'x'), code('22023'));
  assert.throws(parse('version', '2'), code('22023'));
});

settings('a change counts when it commits, and is heard', async () => {
  const { settings: cluster, kv } = await testCluster();
  const heard: unknown[] = [];
  cluster.onChange('jobs.retention_time', (value) => heard.push(value));
  assert.is(cluster.number('jobs.retention_time'), 14 * 24 * 3600e6);
  const txn = kv.begin();
  await cluster.set(txn, 'jobs.retention_time', '1h');
  assert.is(await cluster.read(txn, 'jobs.retention_time'), 3600e6);
  assert.is(cluster.number('jobs.retention_time'), 14 * 24 * 3600e6);
  await txn.commit();
  assert.is(cluster.number('jobs.retention_time'), 3600e6);
  await kv.run((next) => cluster.reset(next, 'jobs.retention_time'));
  assert.equal(heard, [3600e6, 14 * 24 * 3600e6]);
  assert.equal(
    cluster
      .list()
      .filter((shown) => shown.isSet)
      .map((shown) => shown.setting.name),
    ['version'],
  );
});

settings.run();

const users = suite('users and privileges');

users('roles pass membership on, at any depth, without cycles', async () => {
  const { kv } = await testCluster();
  await kv.run(async (txn) => {
    await createUser(txn, 'ann');
    await createUser(txn, 'readers', { isRole: true });
    await createUser(txn, 'staff', { isRole: true });
    await setRoleOption(txn, 'staff', 'CREATEDB');
    await setRoleOption(txn, 'staff', 'NOLOGIN');
    await grantRole(txn, 'readers', 'staff');
    await grantRole(txn, 'staff', 'ann', { withAdmin: true });
  });
  const reader = kv.at(kv.reading());
  assert.equal([...(await rolesOf(reader, 'ann'))], ['ann', 'staff', 'readers']);
  assert.equal([...(await rolesOf(reader, 'root'))], ['root', 'admin']);
  assert.equal(
    (await listUsers(reader)).map((user) => `${user.username} [${user.options}] (${user.memberOf})`),
    ['admin [] ()', 'ann [] (staff)', 'readers [] ()', 'root [] (admin)', 'staff [CREATEDB,NOLOGIN] (readers)'],
  );
  await rejects(
    kv.run((txn) => grantRole(txn, 'ann', 'readers')),
    '0LP01',
  );
  await rejects(
    kv.run((txn) => createUser(txn, 'ann')),
    '42710',
  );
  await rejects(
    kv.run((txn) => revokeRole(txn, 'admin', 'root')),
    '55006',
  );
  assert.is(await kv.run((txn) => dropUser(txn, 'nobody')), false);
  assert.is(await kv.run((txn) => dropUser(txn, 'staff')), true);
  assert.equal([...(await rolesOf(kv.at(kv.reading()), 'ann'))], ['ann']);
  for (const name of ['', '1 x', 'a'.repeat(64)]) assert.throws(() => normalizeUserName(name), code('42602'));
  assert.throws(() => normalizeUserName('node'), code('42939'));
  await rejects(
    kv.run((txn) => createUser(txn, 'public')),
    '42939',
  );
});

users('grants, ALL, owners and admins', async () => {
  const cluster = await testCluster();
  const id = await addTable(cluster, 't');
  const table = (await cluster.catalog.current()).tableById(id);
  assert.ok(table);
  const base = ownerPrivileges('owner');
  const all: readonly Privilege[] = privilegesOf(table);
  const granted = withGrant(base, 'ann', ['SELECT', 'INSERT']);
  const can = (user: string | ReadonlySet<string>, privileges: typeof base, privilege: Privilege) =>
    hasPrivilege(user, privileges, privilege);
  assert.equal(
    ['ann', 'bob', 'owner', 'root'].map((user) => can(user, granted, 'SELECT')),
    [true, false, true, true],
  );
  assert.ok(can(new Set(['bob', 'ann']), granted, 'INSERT'));
  assert.not(can('ann', granted, 'DELETE'));
  assert.ok(can('anyone', withGrant(base, 'public', ['SELECT']), 'SELECT'));
  const everything = withGrant(granted, 'ann', ['ALL']);
  assert.equal(everything.grants.find((grant) => grant.grantee === 'ann')?.privileges, ['ALL']);
  const rest = withoutGrant(everything, 'ann', ['SELECT'], all);
  assert.not(can('ann', rest, 'SELECT'));
  assert.ok(can('ann', rest, 'BACKUP'));
  assert.equal(
    withoutGrant(rest, 'ann', ['ALL'], all).grants.map((grant) => grant.grantee),
    ['admin', 'root'],
  );
  assert.throws(
    () => checkPrivilege('bob', { ...table, privileges: granted }, 'SELECT'),
    /user bob does not have SELECT privilege on relation t/,
  );
  checkPrivilege('ann', { ...table, privileges: granted }, 'SELECT');
});

users.run();

const protections = suite('protected records');

protections('a record counts from its commit to its release, and shows in the rows', async () => {
  const cluster = await testCluster();
  const { kv, protections: records } = cluster;
  const id = await addTable(cluster, 't');
  await cluster.clock.advance('1h');
  const ts = kv.reading();
  const record = { id: kv.ids.uuid(), ts, metaType: 'user', meta: 'note', target: { kind: 'objects', ids: [id] } } as const;
  const txn = kv.begin();
  await records.protect(txn, record);
  assert.equal(records.current(), []);
  await txn.commit();
  assert.equal(records.current(), [record]);
  assert.equal(await records.list(kv.at(kv.reading())), [record]);
  await cluster.clock.advance('10h');
  assert.is(kv.gc.thresholds.explain(id).reason, 'protection');
  await kv.run((next) => records.update(next, record.id, (ts + 1000) as Timestamp));
  assert.is(records.current()[0]?.ts, ts + 1000);
  assert.equal(await systemTable('protected_ts_meta').get(kv.at(kv.reading()), true), {
    singleton: true,
    version: 3,
    num_records: 1,
    num_spans: 1,
    total_bytes: JSON.stringify(record).length,
  });
  await rejects(
    kv.run((next) => records.protect(next, record)),
    '42710',
  );
  await kv.run((next) => records.release(next, record.id));
  assert.equal(records.current(), []);
  await rejects(
    kv.run((next) => records.release(next, record.id)),
    '42704',
  );
});

protections('a time that is not kept any more cannot be protected, and nothing is left behind', async () => {
  const cluster = await testCluster();
  const { kv, protections: records } = cluster;
  const id = await addTable(cluster, 't');
  const ts = kv.reading();
  await cluster.clock.advance('5h');
  const record = { id: kv.ids.uuid(), ts, metaType: 'user', meta: '', target: { kind: 'objects', ids: [id] } } as const;
  await rejects(
    kv.run((txn) => records.protect(txn, record)),
    '72000',
  );
  assert.equal(await records.list(kv.at(kv.reading())), []);
  await rejects(
    kv.run((txn) => records.protect(txn, { ...record, ts: MIN_TIMESTAMP })),
    '22023',
  );
});

protections('limits are settings', async () => {
  const cluster = await testCluster();
  const { kv, protections: records } = cluster;
  await kv.run((txn) => cluster.settings.set(txn, 'kv.protectedts.max_spans', 2));
  const record = (ids: number[]) =>
    ({ id: kv.ids.uuid(), ts: kv.reading(), metaType: 'user', meta: '', target: { kind: 'objects', ids } }) as const;
  await kv.run((txn) => records.protect(txn, record([DEFAULTDB_ID])));
  await rejects(
    kv.run((txn) => records.protect(txn, record([1, 51]))),
    '54000',
  );
});

protections.run();

const targets = suite('targets');

targets('names and wildcards resolve as a BACKUP needs them', async () => {
  const cluster = await testCluster();
  const { catalog, kv } = cluster;
  const bank = await kv.run((txn) => catalog.createDatabase(txn, { name: 'bank', owner: 'root' }));
  await addTable(cluster, 'a', bank.id);
  await addTable(cluster, 'b', bank.id);
  await addTable(cluster, 'c');
  const snapshot = await catalog.current();
  const show = (pattern: TargetPattern, context: NameContext) => {
    const found = resolveTargets(snapshot, [pattern], context);
    const names = (list: readonly { name: string }[]) => list.map((desc) => desc.name).join(',');
    return `${names(found.databases)}|${names(found.parentDatabases)}|${names(found.tables)}`;
  };
  const inDefault: NameContext = { currentDatabase: 'defaultdb', searchPath: ['public'] };
  const inBank: NameContext = { currentDatabase: 'bank', searchPath: ['public'] };
  assert.is(show({ kind: 'database', name: 'bank' }, inDefault), 'bank||a,b');
  assert.is(show({ kind: 'table', parts: ['bank', 'a'] }, inDefault), '|bank|a');
  assert.is(show({ kind: 'wildcard', parts: [] }, inBank), '|bank|a,b');
  assert.is(show({ kind: 'wildcard', parts: ['bank'] }, inDefault), 'bank||a,b');
  assert.is(show({ kind: 'wildcard', parts: ['public'] }, inBank), '|bank|a,b');
  assert.is(show({ kind: 'wildcard', parts: ['bank', 'public'] }, inDefault), '|bank|a,b');
  const refused: [TargetPattern, string][] = [
    [{ kind: 'database', name: 'nope' }, '3D000'],
    [{ kind: 'table', parts: ['nope'] }, '42P01'],
    [{ kind: 'wildcard', parts: ['nope'] }, '3F000'],
    [{ kind: 'wildcard', parts: ['bank', 'nope'] }, '3F000'],
  ];
  for (const [pattern, expected] of refused) assert.throws(() => resolveTargets(snapshot, [pattern], inDefault), code(expected));
  const { tables } = resolveTargets(snapshot, [{ kind: 'database', name: 'bank' }], inDefault);
  assert.equal(targetSpans(tables).map(prettySpan), [
    '[/Table/53/1, /Table/53/2)',
    '[/Table/53/2, /Table/53/3)',
    '[/Table/54/1, /Table/54/2)',
    '[/Table/54/2, /Table/54/3)',
  ]);
});

targets.run();

const names = suite('names');

names('are quoted only where they must be', () => {
  for (const [name, sql] of [
    ['plain_1', 'plain_1'],
    ['Upper', '"Upper"'],
    ['with space', '"with space"'],
    ['a"b', '"a""b"'],
    ['select', '"select"'],
    ['primary', '"primary"'],
    ['1st', '"1st"'],
    ['', '""'],
  ] as const) {
    assert.is(quoteName(name), sql);
  }
  assert.is(quoteNames(['db', 'public', 'T']), 'db.public."T"');
  assert.is(quoteLiteral("it's"), "'it''s'");
  assert.is(quoteLiteral("a\n\\'"), "e'a\\n\\\\\\''");
});

names.run();

const rows = suite('system rows');

rows('plain values go in and come out; indexes are kept', async () => {
  const { kv } = await testCluster();
  const jobs = systemTable('jobs');
  const job = {
    id: 7,
    status: 'running',
    created: 1_780_000_000_000_000,
    payload: { description: 'é', list: [1, null, { 10: 'x', 9: 'y' }] },
    progress: null,
    created_by_type: 'user',
    created_by_id: null,
    claim_session_id: null,
    claim_instance_id: 1,
    num_runs: null,
    last_run: null,
  };
  await kv.run((txn) => jobs.upsert(txn, job));
  assert.equal(await jobs.get(kv.at(kv.reading()), 7), job);
  const entries = async () => {
    const { keys } = await kv.at(kv.reading()).scan(indexSpan(jobs.desc, jobs.desc.indexes[0] as never));
    return keys.map(prettyKey);
  };
  assert.equal(await entries(), ['/Table/15/2/"running"/2026-05-28T20:26:40Z/7/0']);
  assert.ok(await kv.run((txn) => jobs.update(txn, [7], { status: 'succeeded' })));
  assert.equal(await entries(), ['/Table/15/2/"succeeded"/2026-05-28T20:26:40Z/7/0']);
  assert.not(await kv.run((txn) => jobs.update(txn, [8], { status: 'failed' })));
  assert.ok(await kv.run((txn) => jobs.delete(txn, 7)));
  assert.equal(await entries(), []);
  assert.not(await kv.run((txn) => jobs.delete(txn, 7)));
  await rejects(
    kv.run((txn) => jobs.upsert(txn, { ...job, nope: 1 })),
    'XX000',
    /no column nope/,
  );
  await rejects(
    kv.run((txn) => jobs.upsert(txn, { ...job, status: null })),
    'XX000',
    /null in system.jobs.status/,
  );
});

rows('every system table takes a row and gives it back', async () => {
  const { kv } = await testCluster();
  const uuid = '8b6e1a30-0000-4000-8000-00000000000a';
  const sample: Record<string, unknown> = {
    int: 5,
    string: 'text',
    bool: true,
    bytes: 'b',
    uuid,
    timestamp: 1,
    timestamptz: 2,
    jsonb: [1],
  };
  for (const name of Object.keys(systemTables) as (keyof typeof systemTables)[]) {
    // Rows that the catalog and GC read as their own are tested where they belong.
    if (['descriptor', 'namespace', 'zones', 'settings', 'protected_ts_records'].includes(name)) continue;
    const table = systemTable(name);
    const row = Object.fromEntries(
      table.desc.columns.map((column) => [
        column.name,
        column.type.family === 'decimal'
          ? Decimal.of(125n, 2)
          : column.type.family === 'array'
            ? [sample[column.type.element?.family ?? 'string']]
            : sample[column.type.family],
      ]),
    );
    await kv.run((txn) => table.upsert(txn, row));
    const key = table.desc.primaryIndex.columnIds.map((id) => row[table.desc.columns[id - 1]?.name ?? '']);
    const back = await table.get(kv.at(kv.reading()), ...key);
    assert.equal(Object.entries(back ?? {}).map(String), Object.entries(row).map(String), name);
  }
});

rows.run();

const sequences = suite('sequences');

sequences('values are handed out once, in order, whatever the callers do', async () => {
  const cluster = await testCluster();
  const { kv } = cluster;
  const id = await addTable(cluster, 's');
  const table = (await cluster.catalog.current()).tableById(id);
  assert.ok(table);
  const make = async (given: Parameters<typeof sequenceOptions>[0]) => {
    const desc = { ...table, sequence: sequenceOptions(given) };
    await kv.run(async (txn) => initializeSequence(txn, id, desc.sequence));
    return desc;
  };
  const plain = await make({});
  assert.equal(await readSequence(kv.at(kv.reading()), plain), { lastValue: 1, isCalled: false, stored: 0 });
  const values = await Promise.all(Array.from({ length: 20 }, () => cluster.sequences.nextval(plain)));
  assert.equal(
    values,
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  await cluster.sequences.setval(plain, 100, false);
  assert.is(await cluster.sequences.nextval(plain), 100);
  await rejects(cluster.sequences.setval(plain, 0), '22003');

  const cycling = await make({ increment: -2n, minValue: -5n, maxValue: -1n, cycle: true });
  const seen = [];
  for (let i = 0; i < 5; i++) seen.push(await cluster.sequences.nextval(cycling));
  assert.equal(seen, [-1, -3, -5, -1, -3]);

  const short = await make({ maxValue: 2n });
  await cluster.sequences.nextval(short);
  await cluster.sequences.nextval(short);
  await rejects(cluster.sequences.nextval(short), '2200H', /reached maximum value of sequence "s" \(2\)/);

  // One that its own transaction has made: nobody else can see it yet.
  const own = { ...plain, id: 900, name: 'own' };
  const txn = kv.begin();
  await rejects(cluster.sequences.nextval(own, txn), '42P01');
  initializeSequence(txn, own.id, own.sequence);
  assert.is(await cluster.sequences.nextval(own, txn), 1);
  await cluster.sequences.setval(own, 10, true, txn);
  assert.is(await cluster.sequences.nextval(own, txn), 11);
  txn.rollback();
  await rejects(cluster.sequences.nextval(own), '42P01');

  const large = await make({ start: 2n ** 63n - 2n });
  assert.is(await cluster.sequences.nextval(large), 2n ** 63n - 2n);
  for (const given of [
    { increment: 0n },
    { minValue: 5n, maxValue: 4n },
    { start: 0n },
    { maxValue: 2n ** 20n, integerWidth: 16 as const },
  ]) {
    assert.throws(() => sequenceOptions(given), code('22023'));
  }
});

sequences.run();
