/**
 * Datums to JSON values: numbers and booleans as themselves, arrays and tuples as arrays and objects,
 * timestamps in ISO 8601, everything else as its text.
 */
import { utf8Decode } from '../../base/bytes.ts';
import { type Datum, Decimal, type Json } from '../../catalog/datum.ts';
import { jsonObject, type JsonValue } from '../../catalog/json.ts';
import { type ColumnType, elementOf } from '../../catalog/type.ts';
import { textFunction } from './castFunction.ts';
import type { EvalContext } from './evalContext.ts';

export type ToJson = (datum: Datum, ctx: EvalContext) => JsonValue;

/** The conversion for a type; NULL becomes JSON null. */
export function toJson(type: ColumnType): ToJson {
  const convert = converter(type);
  return (datum, ctx) => (datum === null ? null : convert(datum, ctx));
}

function converter(type: ColumnType): ToJson {
  switch (type.family) {
    case 'bool':
      return (datum) => datum as boolean;
    case 'int':
    case 'oid':
      return (datum) => (typeof datum === 'bigint' ? Decimal.fromInt(datum) : (datum as number));
    case 'float':
      // JSON has no NaN and no infinity: they become text, as in PostgreSQL.
      return (datum) => (Number.isFinite(datum) ? (datum as number) : String(datum));
    case 'decimal':
      return (datum) => {
        const decimal = datum as Decimal;
        if (!decimal.isFinite) return decimal.toString();
        const number = decimal.toNumber();
        return String(number) === decimal.toString() ? number : decimal;
      };
    case 'jsonb':
      return (datum) => (datum as Json).value;
    case 'array': {
      const element = toJson(elementOf(type));
      return (datum, ctx) => (datum as readonly Datum[]).map((item) => element(item, ctx));
    }
    case 'tuple': {
      const fields = (type.fields ?? []).map(toJson);
      const labels = type.labels;
      return (datum, ctx) =>
        jsonObject((datum as readonly Datum[]).map((item, i) => [labels?.[i] ?? `f${i + 1}`, fields[i]?.(item, ctx) ?? null] as const));
    }
    default: {
      const text = textFunction(type);
      const isMoment = type.family === 'timestamp' || type.family === 'timestamptz';
      const isZoned = type.family === 'timestamptz';
      return (datum, ctx) => {
        const shown = utf8Decode(text(datum, ctx));
        // ISO 8601 writes the minutes of an offset, SQL text only when there are some.
        const iso = isMoment ? shown.replace(' ', 'T') : shown;
        return isZoned ? iso.replace(/([+-]\d\d)$/, '$1:00') : iso;
      };
    }
  }
}
