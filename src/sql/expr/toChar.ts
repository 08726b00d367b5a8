/**
 * to_char for dates and times, and strftime: formats from patterns. The common fields of PostgreSQL's
 * patterns; text in double quotes and everything unknown stands for itself.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { extractFromTimestamp } from './timeFields.ts';
import type { Int } from './intArithmetic.ts';

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

const PATTERN =
  /"[^"]*"|FM|HH24|HH12|HH|MI|SSSS|SS|MS|US|AM|PM|am|pm|A\.M\.|P\.M\.|YYYY|YYY|YY|Y|IYYY|Month|MONTH|month|Mon|MON|mon|MM|Day|DAY|day|DDD|DD|Dy|DY|dy|D|ID|IW|WW|W|CC|J|Q|TZH|TZM|TZ|tz|OF/g;

/** A local timestamp by a to_char pattern. `zone` is shown by TZ, `offsetSeconds` by OF and TZH. */
export function toChar(local: Int, pattern: string, zone = '', offsetSeconds = 0): string {
  const get = (field: string) => Math.floor(extractFromTimestamp(field, local, offsetSeconds));
  let isTrimmed = false;
  return pattern.replace(PATTERN, (token) => {
    if (token === 'FM') {
      isTrimmed = true;
      return '';
    }
    const text = token.startsWith('"') ? token.slice(1, -1) : fieldText(token, get, zone, offsetSeconds);
    if (!isTrimmed) return text;
    isTrimmed = false;
    return text.trimEnd().replace(/^0+(?=\d)/, '');
  });
}

function fieldText(token: string, get: (field: string) => number, zone: string, offsetSeconds: number): string {
  const padded = (n: number, width: number) => String(n).padStart(width, '0');
  const hour12 = () => get('hour') % 12 || 12;
  const month = () => MONTHS[get('month') - 1] ?? '';
  const day = () => DAYS[get('dow')] ?? '';
  switch (token) {
    case 'HH24':
      return padded(get('hour'), 2);
    case 'HH12':
    case 'HH':
      return padded(hour12(), 2);
    case 'MI':
      return padded(get('minute'), 2);
    case 'SS':
      return padded(get('second'), 2);
    case 'SSSS':
      return String(get('hour') * 3600 + get('minute') * 60 + get('second'));
    case 'MS':
      return padded(get('millisecond') % 1000, 3);
    case 'US':
      return padded(get('microsecond') % 1_000_000, 6);
    case 'AM':
    case 'PM':
      return get('hour') < 12 ? 'AM' : 'PM';
    case 'am':
    case 'pm':
      return get('hour') < 12 ? 'am' : 'pm';
    case 'A.M.':
    case 'P.M.':
      return get('hour') < 12 ? 'A.M.' : 'P.M.';
    case 'YYYY':
      return padded(get('year'), 4);
    case 'YYY':
      return padded(get('year') % 1000, 3);
    case 'YY':
      return padded(get('year') % 100, 2);
    case 'Y':
      return String(get('year') % 10);
    case 'IYYY':
      return padded(get('isoyear'), 4);
    case 'Month':
      return month().padEnd(9);
    case 'MONTH':
      return month().toUpperCase().padEnd(9);
    case 'month':
      return month().toLowerCase().padEnd(9);
    case 'Mon':
      return month().slice(0, 3);
    case 'MON':
      return month().slice(0, 3).toUpperCase();
    case 'mon':
      return month().slice(0, 3).toLowerCase();
    case 'MM':
      return padded(get('month'), 2);
    case 'Day':
      return day().padEnd(9);
    case 'DAY':
      return day().toUpperCase().padEnd(9);
    case 'day':
      return day().toLowerCase().padEnd(9);
    case 'Dy':
      return day().slice(0, 3);
    case 'DY':
      return day().slice(0, 3).toUpperCase();
    case 'dy':
      return day().slice(0, 3).toLowerCase();
    case 'DDD':
      return padded(get('doy'), 3);
    case 'DD':
      return padded(get('day'), 2);
    case 'D':
      return String(get('dow') + 1);
    case 'ID':
      return String(get('isodow'));
    case 'IW':
      return padded(get('week'), 2);
    case 'WW':
      return padded(Math.floor((get('doy') - 1) / 7) + 1, 2);
    case 'W':
      return String(Math.floor((get('day') - 1) / 7) + 1);
    case 'CC':
      return padded(get('century'), 2);
    case 'J':
      return String(get('julian'));
    case 'Q':
      return String(get('quarter'));
    case 'TZ':
      return zone.toUpperCase();
    case 'tz':
      return zone.toLowerCase();
    case 'TZH':
    case 'OF':
      return (offsetSeconds < 0 ? '-' : '+') + padded(Math.floor(Math.abs(offsetSeconds) / 3600), 2);
    case 'TZM':
      return padded(Math.floor(Math.abs(offsetSeconds) / 60) % 60, 2);
    default:
      return token;
  }
}

const STRFTIME: Readonly<Record<string, string>> = {
  a: 'Dy',
  A: 'FMDay',
  b: 'Mon',
  B: 'FMMonth',
  d: 'DD',
  e: 'FMDD',
  f: 'US',
  F: 'YYYY-MM-DD',
  H: 'HH24',
  I: 'HH12',
  j: 'DDD',
  L: 'MS',
  m: 'MM',
  M: 'MI',
  p: 'AM',
  S: 'SS',
  T: 'HH24:MI:SS',
  u: 'ID',
  V: 'IW',
  y: 'YY',
  Y: 'YYYY',
  z: 'TZHTZM',
  Z: 'TZ',
};

/** strftime's % verbs over a local timestamp. 22023 for one that is not known. */
export function strftime(local: Int, format: string, zone = '', offsetSeconds = 0): string {
  return format.replace(/%(.)/gs, (_, verb: string) => {
    if (verb === '%') return '%';
    if (verb === 's') return String(Math.floor(extractFromTimestamp('epoch', local, offsetSeconds)));
    const pattern = STRFTIME[verb];
    if (pattern === undefined) throw new StatementError(SqlState.InvalidParameterValue, `unknown verb in strftime format: %${verb}`);
    return toChar(local, pattern, zone, offsetSeconds);
  });
}
