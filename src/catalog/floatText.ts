/**
 * Floats as PostgreSQL prints them: the shortest digits that read back as the same number, with an
 * exponent when it is below -4 or at or above 15 (6 for FLOAT4): `0.1`, `1e+15`, `1e-05`, `NaN`, `Infinity`, `-0`.
 */
const EXPONENT_FROM = 15;
const EXPONENT_FROM_SINGLE = 6;
const SINGLE_DIGITS_MAX = 9;

/** `width` is 32 or 64. */
export function formatFloat(value: number, width = 64): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const shortest = width === 32 ? shortestSingle(value) : String(value);
  // Scientific notation gives digits and exponent whatever form JavaScript chose.
  const [mantissa = '', exponentText = '0'] = Number(shortest).toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < (width === 32 ? EXPONENT_FROM_SINGLE : EXPONENT_FROM)) return plain(mantissa, exponent);
  const sign = exponent < 0 ? '-' : '+';
  return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function shortestSingle(value: number): string {
  for (let digits = 1; digits < SINGLE_DIGITS_MAX; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toPrecision(SINGLE_DIGITS_MAX);
}

function plain(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = mantissa.replace(/[-.]/g, '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = digits.slice(exponent + 1);
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`;
}

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** Reads a float; undefined when it is none. A number too large becomes an infinity: the caller tells it from a written one. */
export function parseFloatText(text: string): number | undefined {
  const trimmed = text.trim();
  if (FLOAT.test(trimmed)) return Number(trimmed);
  const special = /^([+-]?)(nan|inf|infinity)$/i.exec(trimmed);
  if (!special) return undefined;
  if (special[2]?.toLowerCase() === 'nan') return Number.NaN;
  return special[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
