/**
 * to_char for dates, times and intervals, and strftime: formats from patterns. The fields of PostgreSQL's
 * patterns; text in double quotes and everything unknown stands for itself. Lives elsewhere: the way back
 * (parsePattern.ts), numbers (numberPattern.ts).
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { Interval } from '../../catalog/datum.ts';
import type { Int } from './intArithmetic.ts';
import { ordinal } from './numberPattern.ts';
import { extractFromInterval, extractFromTimestamp } from './timeFields.ts';

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const ROMAN_MONTHS = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

const PATTERN =
  /"[^"]*"|FM|FX|TM|HH24|HH12|HH|MI|SSSSS|SSSS|SS|MS|US|FF[1-6]|[AaPp][Mm]|[AaPp]\.[Mm]\.|Y,YYY|YYYY|YYY|YY|Y|IYYY|IYY|IY|IDDD|ID|IW|I|Month|MONTH|month|Mon|MON|mon|MM|Day|DAY|day|DDD|DD|Dy|DY|dy|D|WW|W|CC|J|Q|TZH|TZM|TZ|tz|OF|TH|th|RM|rm|BC|AD|bc|ad|[BA]\.[CD]\.|[ba]\.[cd]\./g;

/** A local timestamp by a to_char pattern. `zone` is shown by TZ, `offsetSeconds` by OF and TZH. */
export function toChar(local: Int, pattern: string, zone = '', offsetSeconds = 0): string {
  return byFields((field) => Math.floor(extractFromTimestamp(field, local, offsetSeconds)), pattern, zone, offsetSeconds);
}

/** An interval by a to_char pattern: its hours may be more than 24. */
export function intervalToChar(interval: Interval, pattern: string): string {
  return byFields((field) => Math.trunc(extractFromInterval(field, interval)), pattern, '', 0);
}

function byFields(get: (field: string) => number, pattern: string, zone: string, offsetSeconds: number): string {
  let isTrimmed = false;
  let last = '';
  return pattern.replace(PATTERN, (token) => {
    if (token === 'FM') {
      isTrimmed = true;
      return '';
    }
    if (token === 'FX' || token === 'TM') return '';
    if (token === 'TH' || token === 'th') return token === 'TH' ? ordinal(last).toUpperCase() : ordinal(last);
    const text = token.startsWith('"') ? token.slice(1, -1) : fieldText(token, get, zone, offsetSeconds);
    last = text;
    if (!isTrimmed) return text;
    isTrimmed = false;
    last = text.trimEnd().replace(/^0+(?=\d)/, '');
    return last;
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
    case 'SSSSS':
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
    case 'a.m.':
    case 'p.m.':
      return get('hour') < 12 ? 'a.m.' : 'p.m.';
    case 'FF1':
    case 'FF2':
    case 'FF3':
    case 'FF4':
    case 'FF5':
    case 'FF6':
      return padded(get('microsecond') % 1_000_000, 6).slice(0, Number(token[2]));
    case 'YYYY':
      return padded(Math.abs(get('year')), 4);
    case 'Y,YYY':
      return padded(Math.abs(get('year')), 4).replace(/(...)$/, ',$1');
    case 'YYY':
      return padded(Math.abs(get('year')) % 1000, 3);
    case 'YY':
      return padded(Math.abs(get('year')) % 100, 2);
    case 'Y':
      return String(Math.abs(get('year')) % 10);
    case 'IYYY':
      return padded(Math.abs(get('isoyear')), 4);
    case 'IYY':
      return padded(Math.abs(get('isoyear')) % 1000, 3);
    case 'IY':
      return padded(Math.abs(get('isoyear')) % 100, 2);
    case 'I':
      return String(Math.abs(get('isoyear')) % 10);
    case 'IDDD':
      return padded((get('week') - 1) * 7 + get('isodow'), 3);
    case 'BC':
    case 'AD':
      return get('year') < 0 ? 'BC' : 'AD';
    case 'bc':
    case 'ad':
      return get('year') < 0 ? 'bc' : 'ad';
    case 'B.C.':
    case 'A.D.':
      return get('year') < 0 ? 'B.C.' : 'A.D.';
    case 'b.c.':
    case 'a.d.':
      return get('year') < 0 ? 'b.c.' : 'a.d.';
    case 'RM':
      return (ROMAN_MONTHS[get('month') - 1] ?? '').padEnd(4);
    case 'rm':
      return (ROMAN_MONTHS[get('month') - 1] ?? '').toLowerCase().padEnd(4);
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
    case 'OF': {
      const minutes = Math.floor(Math.abs(offsetSeconds) / 60) % 60;
      const hours = (offsetSeconds < 0 ? '-' : '+') + padded(Math.floor(Math.abs(offsetSeconds) / 3600), 2);
      return token === 'OF' && minutes > 0 ? `${hours}:${padded(minutes, 2)}` : hours;
    }
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
