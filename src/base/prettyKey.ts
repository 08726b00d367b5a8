/**
 * Prints keys as CockroachDB does, `/Table/52/1/"a"/7/0`, without knowing the table: each part's
 * type shows in its first byte. Descending numbers print as their complement for want of a schema;
 * bytes that no encoder wrote print as ???.
 */
import type { Bytes } from './bytes.ts';
import { toHex, utf8Decode } from './bytes.ts';
import type { DecimalParts } from './decimalcode.ts';
import { decimalDigits } from './decimalcode.ts';
import type { Interval, Time } from './keycode.ts';
import { KeyReader } from './keycode.ts';
import { MAX_KEY } from './span.ts';

/** A key, whole or the start of one. */
export function prettyKey(key: Bytes): string {
  if (key === '') return '/Min';
  if (key >= MAX_KEY) return '/Max';
  const reader = new KeyReader(key);
  let text = reader.peekType() === 'int' ? '/Table' : '';
  while (!reader.done) {
    const start = reader.position;
    try {
      text += `/${prettyPart(reader)}`;
    } catch {
      return `${text}/???${toHex(key.slice(start) as Bytes)}`;
    }
  }
  return text;
}

/** `[/Table/52/1, /Table/52/2)`. */
export function prettySpan(span: { readonly key: Bytes; readonly endKey: Bytes }): string {
  return `[${prettyKey(span.key)}, ${prettyKey(span.endKey)})`;
}

function prettyPart(reader: KeyReader): string {
  const type = reader.peekType();
  switch (type) {
    case 'null':
      reader.skip();
      return 'NULL';
    case 'notNull':
      reader.skip();
      return '!NULL';
    case 'int':
      return String(reader.int());
    case 'float':
      return String(reader.float());
    case 'decimal':
      return prettyDecimal(reader.decimal());
    case 'bytes':
    case 'bytesDescending':
      return quote(reader.bytes());
    case 'time':
      return prettyTime(reader.time());
    case 'interval':
      return prettyInterval(reader.interval());
    default:
      reader.skip();
      return '';
  }
}

/** As the General Decimal Arithmetic's to-scientific-string, without trailing zeros: 10000.5, 2.5E+4. */
function prettyDecimal(value: DecimalParts): string {
  if (value.form !== 'finite') return value.form === 'nan' ? 'NaN' : value.form === 'infinity' ? 'Infinity' : '-Infinity';
  if (value.coefficient === 0n) return '0';
  const sign = value.coefficient < 0n ? '-' : '';
  const { digits, exponent } = decimalDigits(value);
  if (exponent > digits.length || exponent <= -6) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    return `${sign}${digits[0]}${fraction}E${exponent > 0 ? '+' : ''}${exponent - 1}`;
  }
  if (exponent <= 0) return `${sign}0.${'0'.repeat(-exponent)}${digits}`;
  return `${sign}${digits.slice(0, exponent)}${exponent < digits.length ? '.' : ''}${digits.slice(exponent)}`;
}

function prettyTime(time: Time): string {
  const date = new Date(time.seconds * 1000);
  if (Number.isNaN(date.getTime())) return `${time.seconds}.${String(time.nanos).padStart(9, '0')}`;
  const fraction = time.nanos === 0 ? '' : `.${String(time.nanos).padStart(9, '0').replace(/0+$/, '')}`;
  return `${date.toISOString().slice(0, -5)}${fraction}Z`;
}

function prettyInterval(interval: Interval): string {
  return `${interval.months}mon${interval.days}d${interval.nanos}ns`;
}

/** Text in double quotes; bytes that are no text as \xNN. */
function quote(bytes: Bytes): string {
  try {
    return JSON.stringify(utf8Decode(bytes));
  } catch {
    return `"${toHex(bytes).replace(/../g, '\\x$&')}"`;
  }
}
