/**
 * Administration as SQL text: users, sessions, SHOW, jobs, BACKUP and RESTORE.
 *
 * What is secret does not get out: a passphrase or password prints as `'*****'`, and storage URIs go
 * redacted, unless `showSecrets` asks for the text as it was.
 */
import type {
  AsOfClause,
  Expr,
  GrantTarget,
  JobSelection,
  Name,
  Option,
  RoleName,
  SelectStatement,
  Statement,
  TransactionModes,
  UriList,
} from '../ast.ts';
import { SECRET, targets, uris, uriText, withOptions } from './backupParts.ts';
import { printExpr, printExprs, printOptionList } from './expr.ts';
import {
  printDotted,
  printIndexName,
  printName,
  printNames,
  printObjectName,
  printObjectNames,
  printRole,
  printTablePattern,
  printType,
  printZoneTarget,
  quoteString,
} from './names.ts';
import { printSelect } from './query.ts';
import { nestedPrinters } from './nested.ts';
import type { PrintOptions } from './options.ts';
import { printFunctionName } from './functions.ts';
import { printSchedules } from './schedules.ts';
import { printSqlCursor } from './sqlCursors.ts';

/** The statements that statement.ts leaves to this file. */
type AdminStatement = Exclude<Statement, { kind: SchemaKind }>;
type SchemaKind = Extract<
  Statement['kind'],
  | 'select' | 'insert' | 'update' | 'delete' | `create${'Database' | 'Schema' | 'Table' | 'TableAs' | 'Index' | 'Sequence' | 'View' | 'Type' | 'Function'}`
  | `alter${'Database' | 'Schema' | 'Table' | 'Index' | 'Sequence' | 'Relation' | 'Type' | 'Function'}` | `drop${'Database' | 'Schema' | 'Table' | 'View' | 'Sequence' | 'Index' | 'Type' | 'Function'}`
  | 'truncate' | 'refreshView' | 'exportInto' | 'importInto' | 'commentOn' | 'configureZone' | 'splitAt' | 'unsplitAt' | 'scatter' | 'relocateLease'
>; // biome-ignore format: a table

const opt = (condition: boolean, text: string): string => (condition ? text : '');

export function printAdmin(s: AdminStatement, o: PrintOptions): string {
  const e = (expr: Expr): string => printExpr(expr, o);
  const roles = (names: Parameters<typeof printNames>[0]): string => names.map(printRole).join(', ');
  const who = (name: RoleName): string => (name.placeholder ? e(name.placeholder) : printRole(name));
  switch (s.kind) {
    case 'createRole':
      return `CREATE ${opt(s.isUser, 'USER') || 'ROLE'} ${opt(s.ifNotExists, 'IF NOT EXISTS ')}${who(s.name)}${roleOptions(s.options, o)}`;
    case 'alterRole': {
      const name = s.name === undefined ? 'ALL' : `${opt(s.ifExists, 'IF EXISTS ')}${who(s.name)}`;
      let text = `ALTER ${opt(s.isUser, 'USER') || 'ROLE'} ${name}${roleOptions(s.options, o)}`;
      if (s.inDatabase !== undefined) text += ` IN DATABASE ${printName(s.inDatabase)}`;
      if (s.set !== undefined) text += ` SET ${printDotted(s.set.variable)} = ${printExprs(s.set.values, o)}`;
      if (s.reset !== undefined) text += ` RESET ${s.reset === 'all' ? 'ALL' : printDotted(s.reset)}`;
      return text;
    }
    case 'dropRole':
      return `DROP ${opt(s.isUser, 'USER') || 'ROLE'} ${opt(s.ifExists, 'IF EXISTS ')}${s.names.map(who).join(', ')}`;
    case 'grant':
      return `GRANT ${privileges(s.privileges, s.target)} TO ${roles(s.grantees)}${opt(s.withGrantOption, ' WITH GRANT OPTION')}`;
    case 'revoke':
      return `REVOKE ${opt(s.grantOptionOnly, 'GRANT OPTION FOR ')}${privileges(s.privileges, s.target)} FROM ${roles(s.grantees)}`;
    case 'grantRole':
      return `GRANT ${roles(s.roles)} TO ${roles(s.members)}${opt(s.adminOption, ' WITH ADMIN OPTION')}`;
    case 'revokeRole':
      return `REVOKE ${opt(s.adminOption, 'ADMIN OPTION FOR ')}${roles(s.roles)} FROM ${roles(s.members)}`;
    case 'alterDefaultPrivileges': {
      const place = `${owners(s.roles)}${s.schemas.length > 0 ? ` IN SCHEMA ${printObjectNames(s.schemas)}` : ''}`;
      const what = `${s.privileges.join(', ')} ON ${s.on.toUpperCase()}`;
      const change =
        s.command === 'grant'
          ? `GRANT ${what} TO ${roles(s.grantees)}${opt(s.grantOption, ' WITH GRANT OPTION')}`
          : `REVOKE ${opt(s.grantOption, 'GRANT OPTION FOR ')}${what} FROM ${roles(s.grantees)}`;
      return `ALTER DEFAULT PRIVILEGES${place} ${change}`;
    }
    case 'reassignOwned':
      return `REASSIGN OWNED BY ${roles(s.owners)} TO ${printRole(s.newOwner)}`;
    case 'dropOwned':
      return `DROP OWNED BY ${roles(s.owners)}${s.behavior === undefined ? '' : ` ${s.behavior.toUpperCase()}`}`;
    case 'begin':
      return `BEGIN TRANSACTION${modes(s.modes, o)}`;
    case 'commit':
      return 'COMMIT TRANSACTION';
    case 'rollback':
      return s.savepoint === undefined ? 'ROLLBACK TRANSACTION' : `ROLLBACK TRANSACTION TO SAVEPOINT ${printName(s.savepoint)}`;
    case 'savepoint':
      return `SAVEPOINT ${printName(s.name)}`;
    case 'releaseSavepoint':
      return `RELEASE SAVEPOINT ${printName(s.name)}`;
    case 'setVariable': {
      const scope = s.scope === undefined ? '' : `${s.scope.toUpperCase()} `;
      return `SET ${scope}${printVariable(s.variable)} = ${s.values.map((value) => printSetting(value, o)).join(', ')}`;
    }
    case 'resetVariable':
      return `RESET ${s.variable === undefined ? 'ALL' : printVariable(s.variable)}`;
    case 'setTransaction':
      return `SET ${s.session ? 'SESSION CHARACTERISTICS AS TRANSACTION' : 'TRANSACTION'}${modes(s.modes, o)}`;
    case 'setConstraints':
      return `SET CONSTRAINTS ${s.names?.map(printObjectName).join(', ') ?? 'ALL'} ${s.isDeferred ? 'DEFERRED' : 'IMMEDIATE'}`;
    case 'setClusterSetting':
      return `SET CLUSTER SETTING ${printDotted(s.setting)} = ${printSetting(s.value, o)}`;
    case 'showVariable':
      return `SHOW ${s.variable === 'all' ? 'ALL' : printVariable(s.variable)}`;
    case 'showClusterSetting':
      if (s.setting !== undefined) return `SHOW CLUSTER SETTING ${printDotted(s.setting)}`;
      return `SHOW ${s.list === 'public' ? 'PUBLIC' : 'ALL'} CLUSTER SETTINGS`;
    case 'use':
      return `USE ${printSetting(s.database, o)}`;
    case 'prepare': {
      const types = s.types.length > 0 ? ` (${s.types.map(printType).join(', ')})` : '';
      return `PREPARE ${printName(s.name)}${types} AS ${nestedPrinters.statement(s.statement, o)}`;
    }
    case 'execute':
      return `EXECUTE ${printName(s.name)}${s.args.length > 0 ? ` (${printExprs(s.args, o)})` : ''}${opt(s.discardRows, ' DISCARD ROWS')}`;
    case 'deallocate':
      return `DEALLOCATE ${s.name === undefined ? 'ALL' : printName(s.name)}`;
    case 'explain': {
      const options = s.options.length > 0 ? ` (${s.options.map((option) => option.toUpperCase()).join(', ')})` : '';
      return `EXPLAIN${opt(s.analyze, ' ANALYZE')}${options} ${nestedPrinters.statement(s.statement, o)}`;
    }
    case 'declareCursor':
    case 'fetchCursor':
    case 'closeCursor':
      return printSqlCursor(s, o);
    case 'discard':
      return `DISCARD ${s.what.toUpperCase()}`;
    case 'copyFrom':
      return `COPY ${printObjectName(s.table)}${s.columns.length > 0 ? ` (${printNames(s.columns)})` : ''} FROM STDIN${copyOptions(s.options, o)}`;
    case 'copyTo': {
      const columns = s.columns.length > 0 ? ` (${printNames(s.columns)})` : '';
      const source =
        s.query === undefined
          ? `${s.table === undefined ? '' : printObjectName(s.table)}${columns}`
          : `(${nestedPrinters.statement(s.query, o)})`;
      return `COPY ${source} TO STDOUT${copyOptions(s.options, o)}`;
    }
    case 'unlisten':
      return `UNLISTEN ${s.channel ? printName(s.channel) : '*'}`;
    case 'cancelQuery':
    case 'cancelSession': {
      const many = s.ids.kind === 'select';
      const noun = s.kind === 'cancelQuery' ? (many ? 'QUERIES' : 'QUERY') : many ? 'SESSIONS' : 'SESSION';
      return `CANCEL ${noun} ${opt(s.ifExists, 'IF EXISTS ')}${idsText(s.ids, o)}`;
    }
    case 'createStatistics': {
      const at = s.asOf === undefined ? '' : ` AS OF SYSTEM TIME ${e(s.asOf.expr)}`;
      if (s.name === undefined) return `ANALYZE ${printObjectName(s.table)}`;
      const on = s.columns.length > 0 ? ` ON ${printNames(s.columns)}` : '';
      return `CREATE STATISTICS ${printName(s.name)}${on} FROM ${printObjectName(s.table)}${at}`;
    }
    case 'injectStatistics':
      return `ALTER TABLE ${opt(s.ifExists, 'IF EXISTS ')}${printObjectName(s.table)} INJECT STATISTICS ${e(s.statistics)}`;
    case 'show':
      return printShow(s, o);
    case 'showZone':
      return s.target === undefined ? 'SHOW ALL ZONE CONFIGURATIONS' : `SHOW ZONE CONFIGURATION FOR ${printZoneTarget(s.target)}`;
    case 'showJobs': {
      const complete = opt(s.whenComplete, ' WHEN COMPLETE');
      const options = s.options.length > 0 ? ` WITH ${s.options.map((option) => option.name.toUpperCase()).join(', ')}` : '';
      if (s.jobs.type === 'automatic') return `SHOW AUTOMATIC JOBS${options}`;
      if (s.jobs.type === 'all') return `SHOW JOBS${complete}${options}`;
      return `SHOW ${selection(s.jobs, o, complete)}${options}`;
    }
    case 'controlJobs':
      return `${s.command.toUpperCase()} ${selection(s.jobs, o)}${s.reason === undefined ? '' : ` WITH REASON = ${e(s.reason)}`}`;
    case 'alterJobOwner':
      return `ALTER JOB ${e(s.job)} OWNER TO ${printRole(s.owner)}`;
    case 'backup': {
      const d = s.destination;
      let text = `BACKUP${targets(s.targets)}`;
      if (d.type === 'into') text += ` INTO ${uris(d.uris, o)}`;
      else if (d.type === 'intoLatest') text += ` INTO LATEST IN ${uris(d.uris, o)}`;
      else if (d.type === 'intoSubdir') text += ` INTO ${e(d.subdir)} IN ${uris(d.uris, o)}`;
      else text += ` TO ${uris(d.uris, o)}`;
      if (s.asOf !== undefined) text += ` AS OF SYSTEM TIME ${e(s.asOf.expr)}`;
      if (d.type === 'to' && d.incrementalFrom.length > 0)
        text += ` INCREMENTAL FROM ${d.incrementalFrom.map((uri) => uriText(uri, o)).join(', ')}`;
      return text + withOptions(s.options, o);
    }
    case 'createSchedule':
    case 'alterBackupSchedule':
    case 'showSchedules':
    case 'showCreateSchedules':
    case 'controlSchedules':
      return printSchedules(s, o);
    case 'restore': {
      const text = `RESTORE${targets(s.targets)} FROM ${collectionSource(s.source, o)}`;
      const where = s.where === undefined ? '' : ` WHERE ${e(s.where)}`;
      return `${text}${asOfText(s.asOf, o)}${where}${withOptions(s.options, o)}`;
    }
    case 'verifyBackup':
      return `VERIFY BACKUP FROM ${collectionSource(s.source, o)}${asOfText(s.asOf, o)}${withOptions(s.options, o)}`;
    case 'attachBackup': {
      const database = s.database === undefined ? '' : ` DATABASE ${printName(s.database)}`;
      const source = `${collectionSource(s.source, o)}${asOfText(s.asOf, o)}${database}`;
      return `ATTACH BACKUP FROM ${source} AS ${printName(s.name)}${withOptions(s.options, o)}`;
    }
    case 'alterBackup': {
      const source = s.source.type === 'uri' ? uris(s.source.uris, o) : collectionSource(s.source, o);
      return `ALTER BACKUP ${source} ADD NEW_KMS = ${uris(s.newKms, o)} WITH OLD_KMS = ${uris(s.oldKms, o)}`;
    }
    case 'compactBackup': {
      const from = s.from === undefined ? '' : ` FROM ${e(s.from)}`;
      const to = s.to === undefined ? '' : ` TO ${e(s.to)}`;
      return `COMPACT BACKUP ${collectionSource(s.source, o)}${from}${to}${withOptions(s.options, o)}`;
    }
    case 'deleteBackup':
      return `DELETE BACKUP ${collectionSource(s.source, o)}${withOptions(s.options, o)}`;
    case 'expireBackups': {
      const keep = s.keep.map(({ unit, value }) => `KEEP ${e(value)}${unit === 'fulls' ? ' FULLS' : ''}`).join(', ');
      return `EXPIRE BACKUPS IN ${uris(s.uris, o)} ${keep}${withOptions(s.options, o)}`;
    }
    case 'detachBackup':
      return `DETACH BACKUP ${printName(s.name)}`;
    case 'showAttachedBackups':
      return 'SHOW ATTACHED BACKUPS';
    case 'showFingerprints':
      return `SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE ${printObjectName(s.table)}${asOfText(s.asOf, o)}`;
    case 'showBackups': {
      const newer = s.newerThan === undefined ? '' : ` NEWER THAN ${e(s.newerThan)}`;
      const older = s.olderThan === undefined ? '' : ` OLDER THAN ${e(s.olderThan)}`;
      return `SHOW BACKUPS IN ${uris(s.uris, o)}${newer}${older}${withOptions(s.options, o)}`;
    }
    case 'createExternalConnection':
      return `CREATE EXTERNAL CONNECTION ${s.ifNotExists ? 'IF NOT EXISTS ' : ''}${e(s.name)} AS ${uriText(s.uri, o)}`;
    case 'alterExternalConnection':
      return `ALTER EXTERNAL CONNECTION ${s.ifExists ? 'IF EXISTS ' : ''}${e(s.name)} AS ${uriText(s.uri, o)}`;
    case 'dropExternalConnection':
      return `DROP EXTERNAL CONNECTION ${s.ifExists ? 'IF EXISTS ' : ''}${e(s.name)}`;
    case 'showExternalConnections': {
      const what = s.create ? 'SHOW CREATE ' : 'SHOW ';
      if (s.name === undefined) return `${what}${s.create ? 'ALL ' : ''}EXTERNAL CONNECTIONS`;
      return `${what}EXTERNAL CONNECTION ${e(s.name)}`;
    }
    case 'checkExternalConnection':
      return `CHECK EXTERNAL CONNECTION ${uriText(s.uri, o)}${withOptions(s.options, o)}`;
    case 'showBackup': {
      const view = s.view === 'default' ? '' : ` ${s.view.toUpperCase()}`;
      const from = s.source.type === 'uri' ? uris(s.source.uris, o) : `FROM ${collectionSource(s.source, o)}`;
      return `SHOW BACKUP${view} ${from}${withOptions(s.options, o)}`;
    }
  }
}

// ---- parts --------------------------------------------------------------------------------------

function roleOptions(options: readonly Option[], o: PrintOptions): string {
  if (options.length === 0) return '';
  const one = ({ name, value }: Option): string => {
    if (value === undefined) return name.toUpperCase();
    const secret = name === 'password' && value.kind === 'string' && o.showSecrets !== true;
    return `${name.toUpperCase()} ${secret ? SECRET : printExpr(value, o)}`;
  };
  return ` WITH ${options.map(one).join(' ')}`;
}

function owners(roles: readonly Name[] | undefined): string {
  if (roles === undefined) return ' FOR ALL ROLES';
  return roles.length === 0 ? '' : ` FOR ROLE ${roles.map(printRole).join(', ')}`;
}

function privileges(list: readonly string[], target: GrantTarget): string {
  if (target.type === 'system') return `SYSTEM ${list.join(', ')}`;
  return `${list.join(', ')} ON ${grantTarget(target)}`;
}

function grantTarget(target: GrantTarget): string {
  switch (target.type) {
    case 'table':
      return `TABLE ${target.patterns.map(printTablePattern).join(', ')}`;
    case 'allIn':
      return `ALL ${target.objects.toUpperCase()} IN SCHEMA ${printObjectNames(target.schemas)}`;
    case 'externalConnection':
      return `EXTERNAL CONNECTION ${printNames(target.names)}`;
    case 'function':
      return `FUNCTION ${target.functions.map(printFunctionName).join(', ')}`;
    case 'system':
      return 'SYSTEM';
    default:
      return `${target.type.toUpperCase()} ${printObjectNames(target.names)}`;
  }
}

const isolationWords = {
  serializable: 'SERIALIZABLE',
  snapshot: 'SNAPSHOT',
  repeatableRead: 'REPEATABLE READ',
  readCommitted: 'READ COMMITTED',
  readUncommitted: 'READ UNCOMMITTED',
} as const;

function modes(m: TransactionModes, o: PrintOptions): string {
  const parts: string[] = [];
  if (m.isolation !== undefined) parts.push(`ISOLATION LEVEL ${isolationWords[m.isolation]}`);
  if (m.priority !== undefined) parts.push(`PRIORITY ${m.priority.toUpperCase()}`);
  if (m.readOnly !== undefined) parts.push(m.readOnly ? 'READ ONLY' : 'READ WRITE');
  if (m.asOf !== undefined) parts.push(`AS OF SYSTEM TIME ${printExpr(m.asOf.expr, o)}`);
  if (m.deferrable !== undefined) parts.push(m.deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE');
  return parts.length > 0 ? ` ${parts.join(', ')}` : '';
}

/** A variable whose name is also the first word of another SET or SHOW form stands in quotes. */
function printVariable(name: string): string {
  return /^(all|transaction|session|local|names|schema|role|cluster|time|zone|users|roles|tables|databases|columns|index|jobs?|create)$/.test(
    name,
  )
    ? `"${name}"`
    : printDotted(name);
}

/** A value in SET: a bare word prints bare when it is one of the few reserved ones allowed there. */
function printSetting(value: Expr, o: PrintOptions): string {
  const only = value.kind === 'column' && value.parts.length === 1 ? value.parts[0]?.text : undefined;
  return only !== undefined && /^(on|none|user)$/.test(only) ? only : printExpr(value, o);
}

const idsText = (ids: Expr | SelectStatement, o: PrintOptions): string => (ids.kind === 'select' ? printSelect(ids, o) : printExpr(ids, o));

function selection(jobs: JobSelection, o: PrintOptions, complete = ''): string {
  switch (jobs.type) {
    case 'ids':
      return `JOB${complete} ${printExprs(jobs.ids, o)}`;
    case 'select':
      return `JOBS${complete} ${printSelect(jobs.query, o)}`;
    case 'schedule':
      return `JOBS${complete} FOR SCHEDULE ${printExpr(jobs.schedule, o)}`;
    case 'schedules':
      return `JOBS${complete} FOR SCHEDULES ${printSelect(jobs.query, o)}`;
    case 'allOfType':
      return `ALL ${jobs.jobType.toUpperCase()} JOBS`;
    case 'all':
    case 'automatic':
      return 'JOBS';
  }
}

function copyOptions(options: readonly Option[], o: PrintOptions): string {
  if (options.length === 0) return '';
  const one = ({ name, value }: Option): string =>
    value === undefined ? name.toUpperCase() : `${name.toUpperCase()} ${printExpr(value, o)}`;
  return ` WITH (${options.map(one).join(', ')})`;
}

// ---- backup -------------------------------------------------------------------------------------

type CollectionSource =
  | { readonly type: 'latest'; readonly uris: UriList }
  | { readonly type: 'subdir'; readonly subdir: Expr; readonly uris: UriList }
  | { readonly type: 'layers'; readonly layers: readonly UriList[] };
function collectionSource(source: CollectionSource, o: PrintOptions): string {
  if (source.type === 'latest') return `LATEST IN ${uris(source.uris, o)}`;
  if (source.type === 'subdir') return `${printExpr(source.subdir, o)} IN ${uris(source.uris, o)}`;
  return source.layers.map((layer) => uris(layer, o)).join(', ');
}

function asOfText(asOf: AsOfClause | undefined, o: PrintOptions): string {
  return asOf === undefined ? '' : ` AS OF SYSTEM TIME ${printExpr(asOf.expr, o)}`;
}

// ---- SHOW ---------------------------------------------------------------------------------------

function printShow(s: Extract<Statement, { kind: 'show' }>, o: PrintOptions): string {
  const comment = (flag: boolean): string => opt(flag, ' WITH COMMENT');
  const from = (name: Parameters<typeof printObjectName>[0] | undefined): string =>
    name === undefined ? '' : ` FROM ${printObjectName(name)}`;
  switch (s.what) {
    case 'databases':
      return `SHOW DATABASES${comment(s.withComment)}`;
    case 'schemas':
    case 'tables':
      return `SHOW ${s.what.toUpperCase()}${from(s.from)}${comment(s.withComment)}`;
    case 'sequences':
    case 'types':
    case 'enums':
    case 'functions':
      return `SHOW ${s.what.toUpperCase()}${from(s.from)}`;
    case 'columns':
    case 'indexes':
      return `SHOW ${s.what.toUpperCase()}${from(s.table)}${comment(s.withComment)}`;
    case 'databaseIndexes':
      return `SHOW INDEXES FROM DATABASE ${printObjectName(s.database)}${comment(s.withComment)}`;
    case 'constraints':
      return `SHOW CONSTRAINTS${from(s.table)}`;
    case 'partitions':
      return `SHOW PARTITIONS FROM TABLE ${printObjectName(s.table)}`;
    case 'createFunction':
      return `SHOW CREATE FUNCTION ${printFunctionName(s.function)}`;
    case 'create':
      return `SHOW CREATE ${s.object === 'any' ? '' : `${s.object.toUpperCase()} `}${printObjectName(s.name)}`;
    case 'createAll':
      return `SHOW CREATE ALL ${s.objects.toUpperCase()}`;
    case 'users':
    case 'roles':
    case 'locality':
      return `SHOW ${s.what.toUpperCase()}`;
    case 'regions': {
      const of = { cluster: ' FROM CLUSTER', allDatabases: ' FROM ALL DATABASES', database: ' FROM DATABASE' };
      return `SHOW REGIONS${s.of === undefined ? '' : of[s.of]}${s.database === undefined ? '' : ` ${printName(s.database)}`}`;
    }
    case 'survivalGoal':
      return `SHOW SURVIVAL GOAL FROM DATABASE${s.database === undefined ? '' : ` ${printName(s.database)}`}`;
    case 'syntax':
      return `SHOW SYNTAX ${quoteString(s.sql)}`;
    case 'savepointStatus':
      return 'SHOW SAVEPOINT STATUS';
    case 'transactionStatus':
      return 'SHOW TRANSACTION STATUS';
    case 'lastQueryStatistics':
      return 'SHOW LAST QUERY STATISTICS';
    case 'sessions':
    case 'statements':
    case 'transactions':
      return `SHOW ${opt(s.all, 'ALL ')}${s.cluster ? 'CLUSTER' : 'LOCAL'} ${s.what.toUpperCase()}`;
    case 'grants': {
      const on = s.target === undefined ? '' : ` ON ${grantTarget(s.target)}`;
      return `SHOW GRANTS${on}${s.grantees.length > 0 ? ` FOR ${s.grantees.map(printRole).join(', ')}` : ''}`;
    }
    case 'systemGrants':
      return `SHOW SYSTEM GRANTS${s.grantees.length > 0 ? ` FOR ${s.grantees.map(printRole).join(', ')}` : ''}`;
    case 'defaultPrivileges':
      return `SHOW DEFAULT PRIVILEGES${owners(s.roles)}${s.schema === undefined ? '' : ` IN SCHEMA ${printObjectName(s.schema)}`}`;
    case 'grantsOnRole': {
      const members = s.members.length > 0 ? ` FOR ${s.members.map(printRole).join(', ')}` : '';
      return `SHOW GRANTS ON ROLE${s.roles.length > 0 ? ` ${s.roles.map(printRole).join(', ')}` : ''}${members}`;
    }
    case 'ranges': {
      const options = s.options.length > 0 ? ` WITH ${printOptionList(s.options, o).toUpperCase()}` : '';
      const t = s.target;
      if (t.type === 'cluster') return `SHOW CLUSTER RANGES${options}`;
      if (t.type === 'database') return `SHOW RANGES${t.name === undefined ? '' : ` FROM DATABASE ${printName(t.name)}`}${options}`;
      if (t.type === 'table') return `SHOW RANGES FROM TABLE ${printObjectName(t.name)}${options}`;
      return `SHOW RANGES FROM INDEX ${printIndexName(t.index)}${options}`;
    }
    case 'rangeForRow': {
      const target =
        s.index === undefined ? `TABLE ${printObjectName(s.table)}` : `INDEX ${printObjectName(s.table)}@${printName(s.index)}`;
      return `SHOW RANGE FROM ${target} FOR ROW (${printExprs(s.row, o)})`;
    }
    case 'statistics':
      return `SHOW STATISTICS${s.format === undefined ? '' : ` USING ${printName(s.format)}`} FOR TABLE ${printObjectName(s.table)}`;
    case 'histogram':
      return `SHOW HISTOGRAM ${printExpr(s.id, o)}`;
  }
}
