/**
 * SET, RESET, SHOW of variables; cluster settings; zones; USE, DISCARD, PREPARE and their kin.
 */
import { type Bytes, utf8Decode, utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatDatum } from '../../catalog/datumText.ts';
import type { Datum } from '../../catalog/datum.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { hasPrivilege, isAdmin } from '../../catalog/privileges.ts';
import { findSetting, printSetting, requireSetting } from '../../catalog/settings.ts';
import { type ColumnType, familyName, Type, typesEquivalent } from '../../catalog/type.ts';
import { configureZone, discardZone, parentValue, rangeZone, type ZoneTarget, ZoneSet } from '../../catalog/zones.ts';
import { inherit, type ZoneConfig, zoneSetting, zoneVariable } from '../../catalog/zoneConfig.ts';
import { indexByName } from '../../catalog/descriptor.ts';
import { localityOf, REGION_FIELDS, regionsOf } from '../../catalog/regions.ts';
import { discardTemporary } from './ddl/temporary.ts';
import { analyzeExpr, coerceTo } from '../expr/analyze.ts';
import { canCast } from '../expr/castFunction.ts';
import { compileAsync } from '../expr/compileAsync.ts';
import { Placeholders } from '../expr/placeholders.ts';
import type {
  ConfigureZone,
  Deallocate,
  Discard,
  Execute,
  Prepare,
  ResetVariable,
  SetClusterSetting,
  SetTransaction,
  SetVariable,
  ShowClusterSetting,
  ShowVariable,
  ShowZone,
  Use,
  ZoneTarget as AstZoneTarget,
} from '../parse/ast.ts';
import { printExpr, printStatement } from '../parse/printer.ts';
import type { RunContext } from './context.ts';
import { SchemaChange } from './ddl/common.ts';
import { isolationText } from './isolationLevels.ts';
import { registerSetConstraints } from './setConstraints.ts';
import { permittedRole } from './setRole.ts';
import { settingText } from './settingText.ts';
import { currentTypes, haveLabels } from './userType.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHooks } from './statement.ts';

const text = (value: string): Datum => utf8Encode(value);
const textColumn = (name: string): ResultColumn => ({ name, type: Type.String });

async function setVariable(context: StatementContext, stmt: SetVariable): Promise<HookResult> {
  const { session } = context;
  const [first] = stmt.values;
  if (first?.kind === 'default') {
    session.vars.reset(stmt.variable);
    return { tag: 'SET' };
  }
  if (stmt.variable === 'role') {
    const asked = await settingText(context, stmt.values, stmt.variable);
    session.setVariable('role', await permittedRole(context, asked), stmt.scope === 'local');
    return { tag: 'SET' };
  }
  let value = await settingText(context, stmt.values, stmt.variable);
  if (stmt.variable === 'database' && value !== '') {
    (await context.catalog()).requireDatabase(value);
  }
  if (stmt.variable === 'timezone' && first?.kind === 'number') value = first.text;
  session.setVariable(stmt.variable, value, stmt.scope === 'local');
  return { tag: 'SET' };
}

async function setTransaction(context: StatementContext, stmt: SetTransaction): Promise<HookResult> {
  const { session } = context;
  const change = await session.resolveModes(stmt.modes);
  if (stmt.session) {
    if (change.isolation) session.vars.set('default_transaction_isolation', isolationText(change.isolation));
    if (change.priority) session.vars.set('default_transaction_priority', change.priority);
    if (change.readOnly !== undefined) session.vars.set('default_transaction_read_only', change.readOnly ? 'on' : 'off');
    return { tag: 'SET SESSION CHARACTERISTICS' };
  }
  session.setTransactionModes(change);
  return { tag: 'SET TRANSACTION' };
}

// ---- cluster settings -------------------------------------------------------------------------

/** 42501 unless the user is in admin or has MODIFYCLUSTERSETTING, which is not enough for settings that hold secrets. */
async function requireSettingPrivilege(context: RunContext, verb: 'set' | 'show', name: string | undefined): Promise<void> {
  const roles = await context.roles();
  if (isAdmin(roles)) return;
  const setting = name === undefined ? undefined : findSetting(name);
  const what = name === undefined ? 'SHOW CLUSTER SETTINGS' : `${verb} cluster setting '${name}'`;
  const needed = setting?.adminOnly ? 'admin role' : 'MODIFYCLUSTERSETTING privilege';
  if (!setting?.adminOnly) {
    if (await hasSystemPrivilege(context.reader, roles, 'MODIFYCLUSTERSETTING')) return;
    if (verb === 'show' && (await hasSystemPrivilege(context.reader, roles, 'VIEWCLUSTERSETTING'))) return;
  }
  throw new StatementError(SqlState.InsufficientPrivilege, `only users with the ${needed} are allowed to ${what}`);
}

async function setClusterSetting(context: RunContext, stmt: SetClusterSetting): Promise<HookResult> {
  await requireSettingPrivilege(context, 'set', stmt.setting);
  if (context.inExplicitTransaction) {
    throw new StatementError(SqlState.ActiveSqlTransaction, 'SET CLUSTER SETTING cannot be used inside a transaction');
  }
  const { settings } = context.engine;
  if (stmt.value.kind === 'default') {
    await settings.reset(context.txn, stmt.setting);
    return { tag: 'SET CLUSTER SETTING' };
  }
  // A word, or a name with dots, stands for itself.
  const { type, value } =
    stmt.value.kind === 'column'
      ? { type: Type.String, value: text(stmt.value.parts.map((part) => part.text).join('.')) }
      : await context.evalDatum(stmt.value);
  if (value === null) throw new StatementError(SqlState.InvalidParameterValue, `invalid cluster setting argument: NULL`);
  const plain = type.family === 'bool' ? value === true : type.family === 'string' ? utf8Decode(value as Bytes) : formatDatum(type, value);
  await settings.set(context.txn, stmt.setting, plain);
  return { tag: 'SET CLUSTER SETTING' };
}

function settingColumns(stmt: ShowClusterSetting): ResultColumn[] {
  if (stmt.list) {
    const [variable, value, type, description] = ['variable', 'value', 'setting_type', 'description'].map(textColumn) as ResultColumn[];
    const list =
      stmt.list === 'all'
        ? [variable, value, type, { name: 'public', type: Type.Bool }, description]
        : [variable, value, type, description];
    return list as ResultColumn[];
  }
  const setting = requireSetting(stmt.setting ?? '');
  const types: Partial<Record<string, ColumnType>> = { b: Type.Bool, i: Type.Int8, f: Type.Float8 };
  return [{ name: setting.name, type: types[setting.type] ?? Type.String }];
}

async function showClusterSetting(context: RunContext, stmt: ShowClusterSetting): Promise<HookResult> {
  const { settings } = context.engine;
  await requireSettingPrivilege(context, 'show', stmt.list ? undefined : stmt.setting);
  const isAdminUser = isAdmin(await context.roles());
  if (stmt.list) {
    const shown = settings.list().filter(({ setting }) => isAdminUser || !setting.adminOnly);
    const rows = shown.map(({ setting, value }): Datum[] => [
      text(setting.name),
      text(printSetting(setting, value)),
      text(setting.type),
      ...(stmt.list === 'all' ? [true] : []),
      text(setting.description),
    ]);
    return { tag: `SHOW CLUSTER SETTINGS ${rows.length}`, rows };
  }
  const setting = requireSetting(stmt.setting ?? '');
  const value = settings.get(setting.name);
  const isPlain = setting.type === 'b' || setting.type === 'i' || setting.type === 'f';
  return { tag: 'SHOW 1', rows: [[isPlain ? (value as Datum) : text(printSetting(setting, value))]] };
}

// ---- zones ------------------------------------------------------------------------------------

function zoneTarget(change: SchemaChange, target: AstZoneTarget): ZoneTarget {
  switch (target.type) {
    case 'range':
      return rangeZone(target.name.text);
    case 'database':
      return { kind: 'database', id: change.database(target.name.text).id };
    case 'table':
      return { kind: 'table', id: change.table(target.name).id };
    case 'index': {
      const name = target.index.index.text;
      if (!target.index.table) throw new StatementError(SqlState.SyntaxError, 'index name must be given with its table: table@index');
      const table = change.table(target.index.table);
      const index = indexByName(table, name);
      if (!index) throw new StatementError(SqlState.UndefinedObject, `index "${name}" does not exist`);
      return { kind: 'index', id: table.id, indexId: index.id };
    }
    case 'partition':
      return partitionTarget(change, target);
  }
}

/** The rows of one region, in a table's primary index or the index named. 42704 when there is no such part. */
function partitionTarget(change: SchemaChange, target: Extract<AstZoneTarget, { type: 'partition' }>): ZoneTarget {
  const name = target.table ?? target.index?.table;
  if (!name) throw new StatementError(SqlState.SyntaxError, 'index name must be given with its table: table@index');
  const table = change.table(name);
  const index = target.index ? indexByName(table, target.index.index.text) : table.primaryIndex;
  if (!index) throw new StatementError(SqlState.UndefinedObject, `index "${target.index?.index.text}" does not exist`);
  const regions = regionsOf(change.snapshot.databaseById(table.parentId), change.snapshot);
  const region = target.partition.text;
  if (table.locality?.kind !== 'row' || !regions?.names.includes(region)) {
    throw new StatementError(SqlState.UndefinedObject, `partition "${region}" does not exist on index "${index.name}"`);
  }
  return { kind: 'partition', id: table.id, indexId: index.id, region };
}

/** 0A000 for variables that an index has as a whole. */
function refuseOfParts(target: ZoneTarget, variables: readonly string[]): void {
  if (target.kind !== 'partition') return;
  const found = variables.find((name) => !(REGION_FIELDS as readonly string[]).includes(zoneVariable(name).field));
  if (found === undefined) return;
  throw new StatementError(SqlState.FeatureNotSupported, `${found} of a partition is not supported yet`, {
    hint: 'set it for the index: all of its parts go by that',
  });
}

const OVERRIDE_HINT = 'to override this error, SET override_multi_region_zone_config = true and reissue the command';

/** 42P17 for a variable that the regions of a database decide; with no variables for a zone that they made. */
function refuseOfRegions(change: SchemaChange, target: ZoneTarget, variables: readonly string[] | undefined): void {
  if (target.kind === 'range' || change.context.session.vars.isOn('override_multi_region_zone_config')) return;
  const descriptor = change.snapshot.byId(target.id);
  const database = descriptor?.kind === 'database' ? descriptor : change.snapshot.databaseById(descriptor?.parentId ?? 0);
  if (!database?.regions) return;
  if (variables) {
    const found = variables.find((name) => (REGION_FIELDS as readonly string[]).includes(zoneVariable(name).field));
    if (found === undefined) return;
    throw new StatementError(
      SqlState.InvalidObjectDefinition,
      `attempting to modify protected field "${found}" of a multi-region zone configuration`,
      { hint: OVERRIDE_HINT },
    );
  }
  const locality = descriptor?.kind === 'table' ? localityOf(descriptor, change.snapshot) : undefined;
  const isMadeByRegions =
    target.kind === 'database' ||
    (target.kind === 'partition' && locality?.kind === 'row') ||
    (target.kind === 'table' && (locality?.kind === 'global' || (locality?.kind === 'table' && locality.region !== undefined)));
  if (!isMadeByRegions) return;
  throw new StatementError(SqlState.InvalidObjectDefinition, 'attempting to discard the zone configuration of a multi-region entity', {
    detail: 'discarding a multi-region zone configuration may result in sub-optimal performance or behavior',
    hint: OVERRIDE_HINT,
  });
}

async function runConfigureZone(context: RunContext, stmt: ConfigureZone): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  const target = zoneTarget(change, stmt.target);
  if (target.kind === 'range') change.requireAdmin('alter range zones');
  else {
    const descriptor = change.snapshot.byId(target.id);
    // CREATE is as good as ZONECONFIG.
    if (descriptor && !hasPrivilege(change.roles, descriptor.privileges, 'CREATE')) change.check(descriptor, 'ZONECONFIG');
  }
  change.note();
  const variables = stmt.discard ? undefined : stmt.settings.map(({ name }) => name);
  refuseOfRegions(change, target, variables);
  refuseOfParts(target, variables ?? []);
  if (stmt.discard) {
    await discardZone(context.txn, change.snapshot, target);
    return { tag: 'CONFIGURE ZONE 1', rowCount: 1 };
  }
  const zones = await ZoneSet.read(context.txn, change.snapshot);
  let wanted: ZoneConfig = {};
  const seen = new Set<string>();
  for (const option of stmt.settings) {
    const { name } = zoneVariable(option.name);
    if (seen.has(name)) throw new StatementError(SqlState.InvalidParameterValue, `duplicate zone config parameter: "${option.name}"`);
    seen.add(name);
    if (!option.value) {
      wanted = inherit(parentValue(zones, target, zoneVariable(option.name).field), wanted);
      continue;
    }
    const { type, value } = await context.evalDatum(option.value);
    if (value === null) throw new StatementError(SqlState.InvalidParameterValue, `unsupported NULL value for "${option.name}"`);
    const plain = type.family === 'string' ? utf8Decode(value as Bytes) : (value as number | bigint | boolean);
    wanted = inherit(zoneSetting(option.name, plain), wanted);
  }
  await configureZone(context.txn, change.snapshot, target, wanted);
  return { tag: 'CONFIGURE ZONE 1', rowCount: 1 };
}

async function showZone(context: RunContext, stmt: ShowZone): Promise<HookResult> {
  const snapshot = await context.catalog();
  const zones = await ZoneSet.read(context.reader, snapshot);
  const shown = stmt.target ? [zones.show(zoneTarget(await SchemaChange.begin(context), stmt.target))] : zones.showAll();
  return { tag: `SHOW ZONE CONFIGURATION ${shown.length}`, rows: shown.map((zone) => [text(zone.target), text(zone.rawConfigSql)]) };
}

// ---- prepared statements ----------------------------------------------------------------------

async function prepare(context: RunContext, stmt: Prepare): Promise<HookResult> {
  const change = await SchemaChange.begin(context);
  const types = stmt.types.map((name) => change.columnType(name).type);
  await context.session.prepareParsed(
    stmt.name.text,
    stmt.statement,
    printStatement(stmt.statement),
    types,
    countPlaceholders(stmt.statement),
  );
  return { tag: 'PREPARE' };
}

function countPlaceholders(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0;
  const own = (node as { kind?: string; index?: number }).kind === 'placeholder' ? ((node as { index?: number }).index ?? 0) : 0;
  return Object.values(node).reduce<number>((most, child) => Math.max(most, countPlaceholders(child)), own);
}

const EXECUTE_PARAMETER = 'EXECUTE parameter';

async function execute(context: RunContext, stmt: Execute): Promise<HookResult> {
  const prepared = context.session.preparedStatement(stmt.name.text);
  if (!prepared.ast) return { tag: 'EXECUTE' };
  const { parameterTypes } = prepared;
  const types = haveLabels(parameterTypes) ? currentTypes(parameterTypes, await context.catalog()) : parameterTypes;
  if (stmt.args.length !== types.length) {
    throw new StatementError(
      SqlState.SyntaxError,
      `wrong number of parameters for prepared statement "${prepared.name}": expected ${types.length}, got ${stmt.args.length}`,
    );
  }
  const values: Datum[] = [];
  for (const [i, arg] of stmt.args.entries()) {
    const type = types[i] as ColumnType;
    const typed = analyzeExpr(
      arg,
      {
        scope: undefined,
        functions: context.engine.functions,
        placeholders: new Placeholders(),
        subqueries: undefined,
        clause: EXECUTE_PARAMETER,
        allowAggregates: false,
        allowGenerators: false,
        session: context.session.values,
      },
      type,
    );
    // An argument loses nothing: 2.5 is no INT, 2 is a DECIMAL.
    if (!typesEquivalent(typed.type, type) && typed.type.family !== 'unknown' && !canCast(typed.type, type, 'implicit')) {
      throw new StatementError(
        SqlState.DatatypeMismatch,
        `expected ${EXECUTE_PARAMETER} expression to have type ${familyName(type)}, but '${printExpr(arg)}' has type ${familyName(typed.type)}`,
      );
    }
    values.push(await compileAsync(coerceTo(typed, type, `$${i + 1}`))([], context.newRun(0, 0).eval));
  }
  const result = await context.session.runNested(context, prepared.ast, values, types);
  const told = prepared.columns ?? [];
  const given = result.columns ?? [];
  if (told.length !== given.length || told.some(({ type }, i) => type.oid !== given[i]?.type.oid)) {
    throw new StatementError(SqlState.FeatureNotSupported, 'cached plan must not change result type', {
      hint: 'prepare the statement again',
    });
  }
  return {
    tag: result.tag,
    rows: stmt.discardRows ? [] : result.rows,
    rowCount: result.rowCount,
    ...(result.columns && { columns: given }),
  };
}

// ---- registration -----------------------------------------------------------------------------

const none = (): undefined => undefined;

/** Nothing to do, and nothing written, in a session that never made a temporary relation. */
async function dropTemporary(context: RunContext): Promise<void> {
  if (context.names.temporarySchema === undefined) return;
  context.transaction.checkWritable('DISCARD');
  context.transaction.flushCatalog(context.engine.catalog);
  const change = await SchemaChange.begin(context);
  await discardTemporary(change);
  change.note();
}

export function registerSettingStatements(hooks: StatementHooks): void {
  hooks.register<SetVariable>('setVariable', { isReadOnly: true, columns: none, run: setVariable });
  hooks.register<ResetVariable>('resetVariable', {
    isReadOnly: true,
    columns: none,
    run: async (context, stmt) => {
      if (stmt.variable === undefined || stmt.variable === 'all') context.session.vars.resetAll();
      else context.session.vars.reset(stmt.variable);
      return { tag: 'RESET' };
    },
  });
  hooks.register<SetTransaction>('setTransaction', { isReadOnly: true, columns: none, run: setTransaction });
  registerSetConstraints(hooks);
  hooks.register<Use>('use', {
    isReadOnly: true,
    columns: none,
    run: async (context, stmt) => {
      const name = (await context.evalString(stmt.database)) ?? '';
      if (name !== '') (await context.catalog()).requireDatabase(name);
      context.session.setVariable('database', name, false);
      return { tag: 'SET' };
    },
  });
  hooks.register<ShowVariable>('showVariable', {
    isReadOnly: true,
    columns: (stmt) => (stmt.variable === 'all' ? [textColumn('variable'), textColumn('value')] : [textColumn(stmt.variable)]),
    run: async (context, stmt) => {
      if (stmt.variable !== 'all') return { tag: 'SHOW', rows: [[text(context.session.showVariable(stmt.variable))]] };
      return { tag: 'SHOW', rows: context.session.vars.entries().map(([name, value]) => [text(name), text(value)]) };
    },
  });
  hooks.register<SetClusterSetting>('setClusterSetting', {
    columns: none,
    run: (context, stmt) => setClusterSetting(context as RunContext, stmt),
  });
  hooks.register<ShowClusterSetting>('showClusterSetting', {
    isReadOnly: true,
    columns: settingColumns,
    run: async (context, stmt) => showClusterSetting(context as RunContext, stmt),
  });
  hooks.register<ConfigureZone>('configureZone', { columns: none, run: (context, stmt) => runConfigureZone(context as RunContext, stmt) });
  hooks.register<ShowZone>('showZone', {
    isReadOnly: true,
    columns: () => [textColumn('target'), textColumn('raw_config_sql')],
    run: (context, stmt) => showZone(context as RunContext, stmt),
  });
  hooks.register<Prepare>('prepare', { isReadOnly: true, columns: none, run: (context, stmt) => prepare(context as RunContext, stmt) });
  hooks.register<Execute>('execute', {
    isReadOnly: true,
    columns: (stmt, context) => context.session.preparedStatement(stmt.name.text).columns,
    run: (context, stmt) => execute(context as RunContext, stmt),
  });
  hooks.register<Deallocate>('deallocate', {
    isReadOnly: true,
    columns: none,
    run: async (context, stmt) => {
      if (!stmt.name) {
        context.session.deallocateAll();
        return { tag: 'DEALLOCATE ALL' };
      }
      context.session.preparedStatement(stmt.name.text);
      context.session.deallocate(stmt.name.text);
      return { tag: 'DEALLOCATE' };
    },
  });
  hooks.register<Discard>('discard', {
    isReadOnly: true,
    columns: none,
    run: async (context, stmt) => {
      if (stmt.what === 'all') {
        if (context.inExplicitTransaction) {
          throw new StatementError(SqlState.ActiveSqlTransaction, 'DISCARD ALL cannot run inside a transaction block');
        }
        await dropTemporary(context as RunContext);
        context.session.discardAll();
      }
      if (stmt.what === 'temporary') await dropTemporary(context as RunContext);
      if (stmt.what === 'sequences') context.session.forgetSequences();
      return { tag: `DISCARD ${stmt.what === 'temporary' ? 'TEMP' : stmt.what.toUpperCase()}` };
    },
  });
}
