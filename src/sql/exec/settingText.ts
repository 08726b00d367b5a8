/**
 * The text of a setting's value, as SET, ALTER ROLE ... SET and ALTER DATABASE ... SET write it.
 */
import { type Bytes, utf8Decode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatDatum } from '../../catalog/datumText.ts';
import { quoteName } from '../../catalog/names.ts';
import type { Expr } from '../parse/ast.ts';
import type { StatementContext } from './statement.ts';

/** The text of a value given to SET: bare words as they are, lists joined with commas. */
export async function settingText(context: StatementContext, values: readonly Expr[], variable: string): Promise<string> {
  const parts: string[] = [];
  for (const value of values) {
    if (value.kind === 'column' && value.parts.length === 1) {
      const name = value.parts[0]?.text ?? '';
      parts.push(variable === 'search_path' ? quoteName(name) : name);
      continue;
    }
    const { type, value: datum } = await context.evalDatum(value);
    if (datum === null) throw new StatementError(SqlState.InvalidParameterValue, `invalid value for parameter "${variable}": NULL`);
    const shown =
      type.family === 'string' ? utf8Decode(datum as Bytes) : type.family === 'bool' ? (datum ? 'on' : 'off') : formatDatum(type, datum);
    parts.push(variable === 'search_path' && type.family === 'string' && values.length > 1 ? quoteName(shown) : shown);
  }
  return parts.join(', ');
}
