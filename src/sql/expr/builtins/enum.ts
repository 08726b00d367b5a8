/** Functions on enums. The argument says which type is meant; its value matters to enum_range with two arguments alone. */
import { type Bytes, utf8Encode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { arrayOf, type ColumnType, familyName, Type } from '../../../catalog/type.ts';
import { typeOfArgument } from '../define.ts';
import type { Overload } from '../overload.ts';

function labelsOf(name: string, type: ColumnType | undefined): Bytes[] {
  if (type?.family !== 'enum') {
    throw new StatementError(
      SqlState.DatatypeMismatch,
      `${name}(): argument must be of an enum type, not ${type ? familyName(type) : 'unknown'}`,
    );
  }
  return (type.members ?? []).map((member) => utf8Encode(member));
}

const enumIn = (args: readonly ColumnType[]): ColumnType | undefined => args.find((type) => type.family === 'enum');

function end(name: 'enum_first' | 'enum_last', at: 0 | -1): Overload {
  return {
    name,
    params: ['anyelement'],
    returns: typeOfArgument(0),
    volatility: 'stable',
    nullable: true,
    specialize: ([type]) => {
      const label = labelsOf(name, type).at(at);
      return () => label ?? null;
    },
  };
}

const rangeType = (args: readonly ColumnType[]): ColumnType => arrayOf(enumIn(args) ?? Type.Unknown);

function range(): Overload {
  return {
    name: 'enum_range',
    params: ['anyelement', 'anyelement'],
    returns: rangeType,
    volatility: 'stable',
    nullable: true,
    specialize: (args) => {
      const type = enumIn(args);
      const labels = labelsOf('enum_range', type);
      return (_, from = null, to = null) => {
        if (from === null && to === null)
          throw new StatementError(SqlState.NullValueNotAllowed, 'enum_range(): both arguments cannot be NULL');
        const first = from === null ? 0 : labels.indexOf(from as Bytes);
        const last = to === null ? labels.length : labels.indexOf(to as Bytes) + 1;
        return labels.slice(first, Math.max(first, last));
      };
    },
  };
}

export const enumFunctions: readonly Overload[] = [
  end('enum_first', 0),
  end('enum_last', -1),
  {
    name: 'enum_range',
    params: ['anyelement'],
    returns: rangeType,
    volatility: 'stable',
    nullable: true,
    specialize: ([type]) => {
      const labels: readonly Datum[] = labelsOf('enum_range', type);
      return () => labels;
    },
  },
  range(),
];
