/**
 * Guardrails against rows that nobody means to write: beyond `sql.guardrails.max_row_size_err` a column
 * family is refused (54000), beyond `max_row_size_log` the client is warned.
 *
 * Source: CockroachDB, the settings of these names.
 */
import { StatementError } from '../../base/errors.ts';
import { prettyKey } from '../../base/prettyKey.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { TableDescriptor } from '../../catalog/descriptor.ts';
import type { KeyValues } from '../../catalog/rowCodec.ts';
import type { Run } from './run.ts';

/** Bytes below which no guardrail takes effect, so that most rows are not measured against any. */
export const ROW_SIZE_FLOOR = 1024;

/** Looks at what one row has appended since `from`. */
export function checkRowSize(table: TableDescriptor, { keys, values }: KeyValues, from: number, { context }: Run): void {
  for (let i = from; i < values.length; i++) {
    const value = values[i];
    if (value == null || value.length < ROW_SIZE_FLOOR) continue;
    const key = keys[i] ?? ('' as (typeof keys)[number]);
    const size = key.length + value.length;
    const { settings } = context.engine;
    const isOver = (name: string): boolean => {
      const limit = settings.number(`sql.guardrails.${name}`);
      return limit > 0 && size > Math.max(limit, ROW_SIZE_FLOOR);
    };
    // As CockroachDB words it. A row's key ends with its family: /0, or number and length.
    const pretty = prettyKey(key);
    const ending = pretty.split('/').slice(-2);
    const family = ending[1] === '0' ? 0 : ending[0];
    const what = `row larger than max row size: table ${table.id} family ${family} primary key ${pretty} size ${size}`;
    const detail = `table "${table.name}"`;
    if (isOver('max_row_size_err')) {
      throw new StatementError(SqlState.ProgramLimitExceeded, what, {
        detail,
        hint: 'the cluster setting sql.guardrails.max_row_size_err says how large a row may be',
      });
    }
    if (isOver('max_row_size_log')) context.notice(what, { detail, severity: 'WARNING', code: SqlState.Warning });
  }
}
