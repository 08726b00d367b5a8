/**
 * Any statement as SQL text, and schema statements in particular. Administration is in admin.ts.
 *
 * Round trip: parsing what is printed gives an equal tree, positions aside (secrets too, which print
 * as `*****` unless asked for).
 */
import type {
  AlterTableAction,
  AsColumn,
  ColumnDef,
  ColumnQualifier,
  DropBehavior,
  ForeignKeyReference,
  HashSharding,
  IndexElement,
  Name,
  Option,
  RangesOf,
  SequenceOption,
  Statement,
  TableConstraint,
  TableElement,
} from '../ast.ts';
import { printAdmin } from './admin.ts';
import { uriText } from './backupParts.ts';
import { direction, printExpr, printOptionList } from './expr.ts';
import {
  printDotted,
  printIndexName,
  printName,
  printNames,
  printObjectName,
  printObjectNames,
  printRole,
  printType,
  printZoneTarget,
  quoteName,
  quoteString,
} from './names.ts';
import { nestedPrinters } from './nested.ts';
import type { PrintOptions } from './options.ts';
import { printDelete, printInsert, printSelect, printUpdate } from './query.ts';
import { printFunctionStatement } from './functions.ts';
import { printDatabaseRegions, printLocality, printRegionAction } from './regions.ts';

const opt = (condition: boolean, text: string): string => (condition ? text : '');
export const behaviorText = (behavior: DropBehavior): string => (behavior === undefined ? '' : ` ${behavior.toUpperCase()}`);

export function printStatement(s: Statement, o: PrintOptions = {}): string {
  const e = (expr: Parameters<typeof printExpr>[0]): string => printExpr(expr, o);
  const ifExists = (flag: boolean): string => opt(flag, 'IF EXISTS ');
  const ifNotExists = (flag: boolean): string => opt(flag, 'IF NOT EXISTS ');
  switch (s.kind) {
    case 'select':
      return printSelect(s, o);
    case 'insert':
      return printInsert(s, o);
    case 'update':
      return printUpdate(s, o);
    case 'delete':
      return printDelete(s, o);
    case 'createFunction':
    case 'alterFunction':
    case 'dropFunction':
      return printFunctionStatement(s);
    case 'createDatabase':
      return `CREATE DATABASE ${ifNotExists(s.ifNotExists)}${printName(s.name)}${s.options.map((option) => ` ${option.name.toUpperCase()} = ${option.value === undefined ? '' : e(option.value)}`).join('')}${printDatabaseRegions(s.regions)}`;
    case 'alterDatabase': {
      const { action } = s;
      const head = `ALTER DATABASE ${printName(s.name)}`;
      if (action.type === 'rename') return `${head} RENAME TO ${printName(action.newName)}`;
      if (action.type === 'owner') return `${head} OWNER TO ${printRole(action.owner)}`;
      if (action.type === 'set') return `${head} SET ${printDotted(action.variable)} = ${action.values.map(e).join(', ')}`;
      if (action.type !== 'reset') return `${head} ${printRegionAction(action)}`;
      return `${head} RESET ${action.variable === undefined ? 'ALL' : printDotted(action.variable)}`;
    }
    case 'dropDatabase':
      return `DROP DATABASE ${ifExists(s.ifExists)}${printName(s.name)}${behaviorText(s.behavior)}`;
    case 'createSchema': {
      const owner = s.owner === undefined ? '' : ` AUTHORIZATION ${printRole(s.owner)}`;
      return `CREATE SCHEMA ${ifNotExists(s.ifNotExists)}${s.name === undefined ? '' : printObjectName(s.name)}${owner}`.replace('  ', ' ');
    }
    case 'alterSchema': {
      const head = `ALTER SCHEMA ${printObjectName(s.name)}`;
      return s.action.type === 'rename'
        ? `${head} RENAME TO ${printName(s.action.newName)}`
        : `${head} OWNER TO ${printRole(s.action.owner)}`;
    }
    case 'dropSchema':
      return `DROP SCHEMA ${ifExists(s.ifExists)}${printObjectNames(s.names)}${behaviorText(s.behavior)}`;
    case 'createTable': {
      const elements = s.elements.map((element) => printTableElement(element, o)).join(', ');
      return `CREATE ${opt(s.temporary, 'TEMPORARY ')}TABLE ${ifNotExists(s.ifNotExists)}${printObjectName(s.name)} (${elements})${withParams(s.storageParams, o)}${s.locality === undefined ? '' : ` ${printLocality(s.locality)}`}`;
    }
    case 'createTableAs': {
      const column = ({ name, isPrimaryKey, family }: AsColumn): string =>
        printName(name) + opt(isPrimaryKey, ' PRIMARY KEY') + (family === undefined ? '' : ` FAMILY ${printName(family)}`);
      const elements = [...s.columns.map(column), ...s.elements.map((element) => printTableElement(element, o))];
      const columns = elements.length > 0 ? ` (${elements.join(', ')})` : '';
      return `CREATE ${opt(s.temporary, 'TEMPORARY ')}TABLE ${ifNotExists(s.ifNotExists)}${printObjectName(s.name)}${columns}${withParams(s.storageParams, o)} AS ${printSelect(s.query, o)}`;
    }
    case 'alterTable': {
      const actions = s.actions.map((action) => printAlterTableAction(action, o)).join(', ');
      return `ALTER TABLE ${ifExists(s.ifExists)}${printObjectName(s.name)} ${actions}`;
    }
    case 'dropTable':
    case 'dropView':
    case 'dropSequence':
      return `DROP ${opt(s.materialized, 'MATERIALIZED ')}${s.kind.slice(4).toUpperCase()} ${ifExists(s.ifExists)}${printObjectNames(s.names)}${behaviorText(s.behavior)}`;
    case 'createIndex': {
      const name = s.name === undefined ? '' : ` ${printName(s.name)}`;
      const isGin = s.method === 'gin' || s.method === 'inverted';
      const kind = `${opt(s.unique, 'UNIQUE ')}${opt(s.inverted && !isGin, 'INVERTED ')}INDEX${opt(s.concurrently, ' CONCURRENTLY')}`;
      const method = s.method === undefined ? '' : ` USING ${quoteName(s.method)}`;
      return `CREATE ${kind}${opt(s.ifNotExists, ' IF NOT EXISTS')}${name} ON ${printObjectName(s.table)}${method} ${printIndexElements(s.columns, o)}${sharding(s.sharded, o)}${storing(s.storing)}${withParams(s.storageParams, o)}${where(s.where, o)}`;
    }
    case 'alterIndex': {
      return `ALTER INDEX ${ifExists(s.ifExists)}${printIndexName(s.index)} RENAME TO ${printName(s.action.newName)}`;
    }
    case 'splitAt':
      return `${printRangesOf(s.of)} SPLIT AT ${printSelect(s.rows, o)}${s.expiration === undefined ? '' : ` WITH EXPIRATION ${e(s.expiration)}`}`;
    case 'unsplitAt':
      return `${printRangesOf(s.of)} ${s.rows === undefined ? 'UNSPLIT ALL' : `UNSPLIT AT ${printSelect(s.rows, o)}`}`;
    case 'scatter':
      return `${printRangesOf(s.of)} SCATTER`;
    case 'relocateLease': {
      const r = s.ranges;
      if (r.type === 'keys') return `${printRangesOf(r.of)} RELOCATE LEASE ${printSelect(r.rows, o)}`;
      if (r.type === 'id') return `ALTER RANGE ${e(r.id)} RELOCATE LEASE TO ${e(r.to)}`;
      return `ALTER RANGE RELOCATE LEASE TO ${e(r.to)} FOR ${printSelect(r.query, o)}`;
    }
    case 'dropIndex':
      return `DROP INDEX ${opt(s.concurrently, 'CONCURRENTLY ')}${ifExists(s.ifExists)}${s.indexes.map(printIndexName).join(', ')}${behaviorText(s.behavior)}`;
    case 'createSequence':
      return `CREATE ${opt(s.temporary, 'TEMPORARY ')}SEQUENCE ${ifNotExists(s.ifNotExists)}${printObjectName(s.name)}${printSequenceOptions(s.options)}`;
    case 'alterSequence':
      return `ALTER SEQUENCE ${ifExists(s.ifExists)}${printObjectName(s.name)}${printSequenceOptions(s.options)}`;
    case 'createView': {
      const columns = s.columns.length > 0 ? ` (${printNames(s.columns)})` : '';
      const kind = `${opt(s.orReplace, 'OR REPLACE ')}${opt(s.temporary, 'TEMPORARY ')}${opt(s.materialized, 'MATERIALIZED ')}VIEW`;
      return `CREATE ${kind} ${ifNotExists(s.ifNotExists)}${printObjectName(s.name)}${columns} AS ${printSelect(s.query, o)}${opt(!s.withData, ' WITH NO DATA')}`;
    }
    case 'refreshView':
      return `REFRESH MATERIALIZED VIEW ${opt(s.concurrently, 'CONCURRENTLY ')}${printObjectName(s.name)}${opt(!s.withData, ' WITH NO DATA')}`;
    case 'alterRelation': {
      const head = `ALTER ${s.relation === 'materializedView' ? 'MATERIALIZED VIEW' : s.relation.toUpperCase()} ${ifExists(s.ifExists)}${printObjectName(s.name)}`;
      if (s.action.type === 'rename') return `${head} RENAME TO ${printObjectName(s.action.newName)}`;
      return s.action.type === 'owner'
        ? `${head} OWNER TO ${printRole(s.action.owner)}`
        : `${head} SET SCHEMA ${printName(s.action.schema)}`;
    }
    case 'createType':
      return `CREATE TYPE ${ifNotExists(s.ifNotExists)}${printObjectName(s.name)} AS ENUM (${s.labels.map(quoteString).join(', ')})`;
    case 'alterType': {
      const { action } = s;
      const head = `ALTER TYPE ${printObjectName(s.name)}`;
      switch (action.type) {
        case 'addValue': {
          const placement =
            action.placement === undefined ? '' : ` ${action.placement.side.toUpperCase()} ${quoteString(action.placement.label)}`;
          return `${head} ADD VALUE ${ifNotExists(action.ifNotExists)}${quoteString(action.label)}${placement}`;
        }
        case 'dropValue':
          return `${head} DROP VALUE ${quoteString(action.label)}`;
        case 'renameValue':
          return `${head} RENAME VALUE ${quoteString(action.label)} TO ${quoteString(action.newLabel)}`;
        case 'rename':
          return `${head} RENAME TO ${printName(action.newName)}`;
        case 'setSchema':
          return `${head} SET SCHEMA ${printName(action.schema)}`;
        case 'owner':
          return `${head} OWNER TO ${printRole(action.owner)}`;
      }
      break;
    }
    case 'dropType':
      return `DROP TYPE ${ifExists(s.ifExists)}${printObjectNames(s.names)}${behaviorText(s.behavior)}`;
    case 'truncate':
      return `TRUNCATE TABLE ${printObjectNames(s.tables)}${behaviorText(s.behavior)}`;
    case 'exportInto':
      return `EXPORT INTO ${s.format} ${uriText(s.location, o)}${bulkOptions(s.options, o)} FROM ${printSelect(s.query, o)}`;
    case 'importInto': {
      const columns = s.columns.length > 0 ? ` (${printNames(s.columns)})` : '';
      return `IMPORT INTO ${printObjectName(s.table)}${columns} ${s.format} DATA (${s.files.map((file) => uriText(file, o)).join(', ')})${bulkOptions(s.options, o)}`;
    }
    case 'commentOn': {
      const name = s.index === undefined ? printObjectName(s.name) : printIndexName(s.index);
      const table = s.table === undefined ? '' : ` ON ${printObjectName(s.table)}`;
      return `COMMENT ON ${s.on.toUpperCase()} ${name}${table} IS ${s.comment === undefined ? 'NULL' : quoteString(s.comment)}`;
    }
    case 'configureZone': {
      const head = `ALTER ${printZoneTarget(s.target)} CONFIGURE ZONE`;
      if (s.discard) return `${head} DISCARD`;
      const setting = (option: Option): string =>
        `${printDotted(option.name)} = ${option.value === undefined ? 'COPY FROM PARENT' : e(option.value)}`;
      return `${head} USING ${s.settings.map(setting).join(', ')}`;
    }
    default:
      return printAdmin(s, o);
  }
}

const where = (expr: Parameters<typeof printExpr>[0] | undefined, o: PrintOptions): string =>
  expr === undefined ? '' : ` WHERE ${printExpr(expr, o)}`;
const storing = (names: readonly Name[]): string => (names.length > 0 ? ` STORING (${printNames(names)})` : '');
const withParams = (params: readonly Option[], o: PrintOptions): string =>
  params.length > 0 ? ` WITH (${printOptionList(params, o)})` : '';

// ---- pieces of tables -----------------------------------------------------------------------------

export function printIndexElements(elements: readonly IndexElement[], o: PrintOptions = {}): string {
  const element = ({ expr, descending, nulls }: IndexElement): string => {
    const text = printExpr(expr, o);
    return (expr.kind === 'column' || expr.kind === 'call' ? text : `(${text})`) + direction(descending, nulls);
  };
  return `(${elements.map(element).join(', ')})`;
}

function sharding(sharded: HashSharding | undefined, o: PrintOptions): string {
  if (!sharded) return '';
  return sharded.buckets === undefined ? ' USING HASH' : ` USING HASH WITH BUCKET_COUNT = ${printExpr(sharded.buckets, o)}`;
}

export function printTableElement(element: TableElement, o: PrintOptions = {}): string {
  switch (element.kind) {
    case 'columnDef':
      return printColumnDef(element, o);
    case 'indexDef': {
      const name = element.name === undefined ? '' : ` ${printName(element.name)}`;
      const kind = `${opt(element.unique, 'UNIQUE ')}${opt(element.inverted, 'INVERTED ')}INDEX`;
      return `${kind}${name} ${printIndexElements(element.columns, o)}${sharding(element.sharded, o)}${storing(element.storing)}${withParams(element.storageParams, o)}${where(element.where, o)}`;
    }
    case 'familyDef':
      return `FAMILY ${element.name === undefined ? '' : `${printName(element.name)} `}(${printNames(element.columns)})`;
    case 'likeTable':
      return `LIKE ${printObjectName(element.table)}${element.options.map((option) => ` ${option.including ? 'INCLUDING' : 'EXCLUDING'} ${option.what.toUpperCase()}`).join('')}`;
    default:
      return printConstraint(element, o);
  }
}

export function printConstraint(constraint: TableConstraint, o: PrintOptions = {}): string {
  const name = constraint.name === undefined ? '' : `CONSTRAINT ${printName(constraint.name)} `;
  switch (constraint.kind) {
    case 'primaryKey':
    case 'unique': {
      const kind = constraint.kind === 'primaryKey' ? 'PRIMARY KEY' : constraint.withoutIndex ? 'UNIQUE WITHOUT INDEX' : 'UNIQUE';
      return `${name}${kind} ${printIndexElements(constraint.columns, o)}${sharding(constraint.sharded, o)}${storing(constraint.storing)}${where(constraint.where, o)}`;
    }
    case 'check':
      return `${name}CHECK (${printExpr(constraint.expr, o)})`;
    case 'foreignKey':
      return `${name}FOREIGN KEY (${printNames(constraint.columns)}) ${printReference(constraint.reference)}`;
  }
}

const actions = {
  noAction: 'NO ACTION',
  restrict: 'RESTRICT',
  cascade: 'CASCADE',
  setNull: 'SET NULL',
  setDefault: 'SET DEFAULT',
} as const;

/** `REFERENCES t (a) ON DELETE CASCADE`; what is the default stays out. */
export function printReference(reference: ForeignKeyReference): string {
  const columns = reference.columns.length > 0 ? ` (${printNames(reference.columns)})` : '';
  const match = opt(reference.match === 'full', ' MATCH FULL');
  const onDelete = opt(reference.onDelete !== 'noAction', ` ON DELETE ${actions[reference.onDelete]}`);
  const onUpdate = opt(reference.onUpdate !== 'noAction', ` ON UPDATE ${actions[reference.onUpdate]}`);
  const { deferral } = reference;
  const deferrable = `${opt(deferral !== undefined, ' DEFERRABLE')}${opt(deferral === 'deferred', ' INITIALLY DEFERRED')}`;
  return `REFERENCES ${printObjectName(reference.table)}${columns}${match}${onDelete}${onUpdate}${deferrable}`;
}

export function printColumnDef(column: ColumnDef, o: PrintOptions = {}): string {
  const qualifiers = column.qualifiers.map((qualifier) => ` ${printQualifier(qualifier, o)}`).join('');
  return `${printName(column.name)} ${printType(column.type)}${opt(column.hidden, ' NOT VISIBLE')}${qualifiers}`;
}

function printQualifier(qualifier: ColumnQualifier, o: PrintOptions): string {
  const name = qualifier.name === undefined ? '' : `CONSTRAINT ${printName(qualifier.name)} `;
  switch (qualifier.type) {
    case 'null':
      return `${name}NULL`;
    case 'notNull':
      return `${name}NOT NULL`;
    // A DEFAULT ends before NOT, AND and OR: what is looser stands in parentheses.
    case 'default':
      return `${name}DEFAULT ${printExpr(qualifier.expr, o, 5)}`;
    case 'onUpdate':
      return `${name}ON UPDATE ${printExpr(qualifier.expr, o, 5)}`;
    case 'primaryKey':
      return `${name}PRIMARY KEY${sharding(qualifier.sharded, o)}`;
    case 'unique':
      return `${name}UNIQUE${opt(qualifier.withoutIndex === true, ' WITHOUT INDEX')}${sharding(qualifier.sharded, o)}`;
    case 'check':
      return `${name}CHECK (${printExpr(qualifier.expr, o)})`;
    case 'references':
      return `${name}${printReference(qualifier.reference)}`;
    case 'computed':
      return `${name}AS (${printExpr(qualifier.expr, o)}) ${qualifier.stored ? 'STORED' : 'VIRTUAL'}`;
    case 'identity': {
      const options = qualifier.options.length > 0 ? ` (${printSequenceOptions(qualifier.options).trimStart()})` : '';
      return `${name}GENERATED ${qualifier.always ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${options}`;
    }
    case 'collate':
      return `COLLATE ${quoteName(qualifier.locale)}`;
    case 'family':
      return `${opt(qualifier.create, 'CREATE ')}${opt(qualifier.ifNotExists, 'IF NOT EXISTS ')}FAMILY ${qualifier.family === undefined ? '' : printName(qualifier.family)}`.trimEnd();
  }
}

/** Each option with a space before it. */
export function printSequenceOptions(options: readonly SequenceOption[]): string {
  const one = (option: SequenceOption): string => {
    switch (option.type) {
      case 'as':
        return `AS ${printType(option.dataType)}`;
      case 'increment':
      case 'start':
      case 'cache':
        return `${option.type.toUpperCase()} ${option.value}`;
      case 'minValue':
      case 'maxValue':
        return option.value === undefined ? `NO ${option.type.toUpperCase()}` : `${option.type.toUpperCase()} ${option.value}`;
      case 'restart':
        return option.value === undefined ? 'RESTART' : `RESTART ${option.value}`;
      case 'cycle':
        return 'CYCLE';
      case 'noCycle':
        return 'NO CYCLE';
      case 'virtual':
        return 'VIRTUAL';
      case 'name':
        return `SEQUENCE NAME ${printObjectName(option.name)}`;
      case 'ownedBy':
        return `OWNED BY ${option.column === undefined ? 'NONE' : printObjectName(option.column)}`;
    }
  };
  return options.map((option) => ` ${one(option)}`).join('');
}

function printAlterTableAction(a: AlterTableAction, o: PrintOptions): string {
  const alter = (column: Name, what: string): string => `ALTER COLUMN ${printName(column)} ${what}`;
  switch (a.type) {
    case 'addColumn':
      return `ADD COLUMN ${opt(a.ifNotExists, 'IF NOT EXISTS ')}${printColumnDef(a.column, o)}`;
    case 'dropColumn':
      return `DROP COLUMN ${opt(a.ifExists, 'IF EXISTS ')}${printName(a.column)}${behaviorText(a.behavior)}`;
    case 'setDefault':
      return alter(a.column, `SET DEFAULT ${printExpr(a.expr, o)}`);
    case 'dropDefault':
      return alter(a.column, 'DROP DEFAULT');
    case 'setOnUpdate':
      return alter(a.column, `SET ON UPDATE ${printExpr(a.expr, o)}`);
    case 'dropOnUpdate':
      return alter(a.column, 'DROP ON UPDATE');
    case 'setNotNull':
      return alter(a.column, 'SET NOT NULL');
    case 'setPhysical':
      return alter(a.column, `SET ${a.parameter} ${a.value}`);
    case 'dropNotNull':
      return alter(a.column, 'DROP NOT NULL');
    case 'setVisible':
      return alter(a.column, a.visible ? 'SET VISIBLE' : 'SET NOT VISIBLE');
    case 'addIdentity': {
      const options = a.options.length > 0 ? ` (${printSequenceOptions(a.options).trim()})` : '';
      return alter(a.column, `ADD GENERATED ${a.always ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY${options}`);
    }
    case 'setIdentity':
      return alter(a.column, `SET GENERATED ${a.always ? 'ALWAYS' : 'BY DEFAULT'}`);
    case 'dropIdentity':
      return alter(a.column, `DROP IDENTITY${opt(a.ifExists, ' IF EXISTS')}`);
    case 'dropStored':
      return alter(a.column, 'DROP STORED');
    case 'setType':
      return alter(a.column, `SET DATA TYPE ${printType(a.newType)}${a.using === undefined ? '' : ` USING ${printExpr(a.using, o)}`}`);
    case 'renameColumn':
      return `RENAME COLUMN ${printName(a.column)} TO ${printName(a.newName)}`;
    case 'addConstraint': {
      const text = printConstraint(a.constraint, o);
      return `ADD ${a.ifNotExists ? text.replace('CONSTRAINT ', 'CONSTRAINT IF NOT EXISTS ') : text}${opt(a.notValid, ' NOT VALID')}`;
    }
    case 'dropConstraint':
      return `DROP CONSTRAINT ${opt(a.ifExists, 'IF EXISTS ')}${printName(a.constraint)}${behaviorText(a.behavior)}`;
    case 'renameConstraint':
      return `RENAME CONSTRAINT ${printName(a.constraint)} TO ${printName(a.newName)}`;
    case 'validateConstraint':
      return `VALIDATE CONSTRAINT ${printName(a.constraint)}`;
    case 'alterPrimaryKey':
      return `ALTER PRIMARY KEY USING COLUMNS ${printIndexElements(a.columns, o)}`;
    case 'setStorageParams':
      return `SET (${printOptionList(a.params, o)})`;
    case 'resetStorageParams':
      return `RESET (${a.names.map(printDotted).join(', ')})`;
    case 'rename':
      return `RENAME TO ${printObjectName(a.newName)}`;
    case 'setLocality':
      return `SET ${printLocality(a.locality)}`;
    case 'setSchema':
      return `SET SCHEMA ${printName(a.schema)}`;
    case 'owner':
      return `OWNER TO ${printRole(a.owner)}`;
  }
}

function printRangesOf(of: RangesOf): string {
  const exists = of.ifExists ? 'IF EXISTS ' : '';
  return of.type === 'table' ? `ALTER TABLE ${exists}${printObjectName(of.name)}` : `ALTER INDEX ${exists}${printIndexName(of.index)}`;
}

nestedPrinters.select = printSelect;
nestedPrinters.statement = printStatement;

function bulkOptions(options: readonly Option[], o: PrintOptions): string {
  return options.length > 0 ? ` WITH ${printOptionList(options, o)}` : '';
}
