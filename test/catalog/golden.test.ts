/**
 * Runs the scripts of test/golden/catalog: how rows look as keys and values.
 *
 *   table id=N name=NAME key=(COL[-], …)    defines a table, columns one a line: `name TYPE [family N]`,
 *                                           indexes as `index NAME (COL[-], …) [unique] [storing (COL, …)]`;
 *                                           a minus means descending. Prints the problems of the descriptor.
 *   encode                                  one row a line, values separated by `|`, NULL for NULL: prints each
 *                                           key-value as the index has it, keys readable, values in hex
 *   decode index=NAME columns=(COL, …)      prints the encoded rows as a scan of that index sees them
 *   zone-sql                                one `variable = value` a line: prints the ALTER statement
 *   system-tables                           prints every system table with its id, key and columns
 */
import { type Bytes, toHex } from '../../src/base/bytes.ts';
import { prettyKey } from '../../src/base/prettyKey.ts';
import type { Datum } from '../../src/catalog/datum.ts';
import { formatDatum, parseDatum } from '../../src/catalog/datumText.ts';
import { allIndexes, columnById, columnByName, indexByName, type TableDescriptor } from '../../src/catalog/descriptor.ts';
import { type KeyValues, rowDecoder, tableCodec } from '../../src/catalog/rowCodec.ts';
import { systemTables } from '../../src/catalog/systemTables.ts';
import { sqlTypeName } from '../../src/catalog/type.ts';
import { requireType } from '../../src/catalog/typeName.ts';
import { validateDescriptor } from '../../src/catalog/validate.ts';
import { inherit, type ZoneConfig, zoneSetting, zoneSql } from '../../src/catalog/zoneConfig.ts';
import { type GoldenCommand, type GoldenHandler, goldenSuite } from '../support/golden.ts';
import { type TestColumn, type TestIndex, testTable } from './support.ts';

const COLUMN = /^(\w+) (\w+)(?:\(([\d, ]+)\))?(\[\])?(?: family (\d))?$/;
const INDEX = /^index (\w+) \(([^)]*)\)( unique)?(?: storing \(([^)]*)\))?$/;

const split = (list: string | undefined): string[] => (list ?? '').split(',').map((item) => item.trim());
const plain = (name: string): string => name.replace(/-$/, '');
const descending = (names: readonly string[]): string[] => names.filter((name) => name.endsWith('-')).map(plain);

class Script implements GoldenHandler {
  #table: TableDescriptor | undefined;
  #rows: Datum[][] = [];

  run(command: GoldenCommand): string {
    switch (command.name) {
      case 'table':
        return this.#define(command);
      case 'encode':
        return this.#encode(command.input.split('\n'));
      case 'decode':
        return this.#decode(command);
      case 'zone-sql':
        return showZone(command.input.split('\n'));
      case 'system-tables':
        return showSystemTables();
      default:
        throw new Error(`${command.where}: unknown command ${command.name}`);
    }
  }

  #define(command: GoldenCommand): string {
    const columns: TestColumn[] = [];
    const indexes: TestIndex[] = [];
    for (const line of command.input.split('\n')) {
      const index = INDEX.exec(line);
      if (index) {
        const names = split(index[2]);
        indexes.push({
          name: index[1] ?? '',
          columns: names.map(plain),
          desc: descending(names),
          unique: index[3] !== undefined,
          storing: index[4] === undefined ? [] : split(index[4]),
        });
        continue;
      }
      const column = COLUMN.exec(line);
      if (!column) throw new Error(`${command.where}: neither column nor index: ${line}`);
      const args = column[3] === undefined ? [] : split(column[3]).map(Number);
      const type = requireType({ name: column[2] ?? '', args, arrayDimensions: column[4] ? 1 : 0 });
      columns.push({ name: column[1] ?? '', type, family: Number(column[5] ?? 0) });
    }
    const key = command.args.get('key') ?? [];
    const table = testTable(Number(command.arg('id')), command.arg('name') ?? '', columns, key.map(plain), {
      indexes,
      pkDesc: descending(key),
    });
    this.#table = table;
    return validateDescriptor(table).join('\n') || 'ok';
  }

  #encode(lines: readonly string[]): string {
    const table = this.#require();
    const codec = tableCodec(table);
    this.#rows = lines.map((line) => {
      const texts = line.split('|').map((text) => text.trim());
      return table.columns.map((column, i) => (texts[i] === 'NULL' ? null : parseDatum(column.type, texts[i] ?? '')));
    });
    const shown: string[] = [];
    for (const row of this.#rows) {
      const out: KeyValues = { keys: [], values: [] };
      codec.encodeRow(row, out);
      for (const index of table.indexes) {
        const entry = codec.encodeEntry(index, row);
        out.keys.push(entry.key);
        out.values.push(entry.value);
      }
      out.keys.forEach((key, i) => {
        shown.push(`${prettyKey(key)} -> ${toHex(out.values[i] as Bytes)}`);
      });
    }
    return shown.join('\n');
  }

  #decode(command: GoldenCommand): string {
    const table = this.#require();
    const codec = tableCodec(table);
    const index = indexByName(table, command.arg('index') ?? '');
    if (!index) throw new Error(`${command.where}: no such index; there are ${allIndexes(table).map((known) => known.name)}`);
    const ids = (command.args.get('columns') ?? []).map((name) => columnByName(table, name)?.id ?? 0);
    const pairs: [Bytes, Bytes][] = [];
    for (const row of this.#rows) {
      const out: KeyValues = { keys: [], values: [] };
      if (index.id === table.primaryIndex.id) codec.encodeRow(row, out);
      else pairs.push(Object.values(codec.encodeEntry(index, row)) as [Bytes, Bytes]);
      for (const [i, key] of out.keys.entries()) pairs.push([key, out.values[i] as Bytes]);
    }
    pairs.sort(([a], [b]) => (a < b ? -1 : 1));
    const rows: Datum[][] = [];
    rowDecoder(table, index, ids).decode(
      pairs.map(([key]) => key),
      pairs.map(([, value]) => value),
      true,
      rows,
    );
    const show = (datum: Datum, id: number): string => {
      const column = columnById(table, id);
      return datum === null || !column ? 'NULL' : formatDatum(column.type, datum);
    };
    return rows.map((row) => row.map((datum, i) => show(datum, ids[i] ?? 0)).join(' | ')).join('\n');
  }

  #require(): TableDescriptor {
    if (!this.#table) throw new Error('no table yet');
    return this.#table;
  }
}

function showZone(lines: readonly string[]): string {
  let config: ZoneConfig = {};
  for (const line of lines) {
    const [name = '', text = ''] = line.split(' = ');
    const value = /^\d+$/.test(text) ? Number(text) : text === 'true' || text === 'false' ? text === 'true' : text;
    config = inherit(zoneSetting(name, value), config);
  }
  return zoneSql('TABLE t', config);
}

function showSystemTables(): string {
  return Object.values(systemTables)
    .map(({ desc, inClusterBackup }) => {
      const columns = desc.columns.map((column) => `${column.name} ${sqlTypeName(column.type)}${column.nullable ? '' : ' NOT NULL'}`);
      const key = desc.primaryIndex.columnIds.map((id) => columnById(desc, id)?.name);
      return `${desc.id} ${desc.name}${inClusterBackup ? ' (in cluster backups)' : ''}: ${columns.join(', ')}, key (${key.join(', ')})`;
    })
    .join('\n');
}

goldenSuite('catalog', () => new Script());
