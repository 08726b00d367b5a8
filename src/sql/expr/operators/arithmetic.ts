/**
 * Arithmetic and bits on numbers. Kinds mix as in CockroachDB: int with decimal, but neither with
 * float; int / int is a decimal; // is the quotient's whole part.
 */
import { StatementError } from '../../../base/errors.ts';
import { SqlState } from '../../../base/sqlState.ts';
import { Decimal as DecimalValue, type Interval as IntervalValue } from '../../../catalog/datum.ts';
import { Decimal, Float8, Int8, Interval, pure, VarBit } from '../define.ts';
import { addInt, bitwise, divInt, divisionByZero, type Int, modInt, mulInt, negInt, powInt, shiftInt, subInt } from '../intArithmetic.ts';
import type { Overload } from '../overload.ts';
import type { Bytes } from '../../../base/bytes.ts';
import { decimalPower } from '../decimalMath.ts';

type D = DecimalValue;

/** The three combinations of decimal with decimal and int. */
function decimals(op: string, fn: (a: D, b: D) => D): Overload[] {
  return [
    pure<[D, D]>(op, [Decimal, Decimal], Decimal, fn),
    pure<[D, Int]>(op, [Decimal, Int8], Decimal, (a, b) => fn(a, DecimalValue.fromInt(b))),
    pure<[Int, D]>(op, [Int8, Decimal], Decimal, (a, b) => fn(DecimalValue.fromInt(a), b)),
  ];
}
const ints = (op: string, fn: (a: Int, b: Int) => Int): Overload => pure<[Int, Int]>(op, [Int8, Int8], Int8, fn);
const floats = (op: string, fn: (a: number, b: number) => number): Overload =>
  pure<[number, number]>(op, [Float8, Float8], Float8, (a, b) => checkedFloat(fn(a, b), a, b));

/** 22003 when finite operands leave the range of a double. */
function checkedFloat(result: number, a: number, b: number): number {
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b) && !Number.isNaN(result)) {
    throw new StatementError(SqlState.NumericValueOutOfRange, 'float out of range');
  }
  return result;
}

function nonZero(b: number): number {
  if (b === 0) throw divisionByZero();
  return b;
}

const bits = (op: string, fn: (a: number, b: number) => number): Overload =>
  pure<[Bytes, Bytes]>(op, [VarBit, VarBit], VarBit, (a, b) => {
    if (a.length !== b.length) {
      throw new StatementError(SqlState.InvalidParameterValue, `cannot ${op} bit strings of different sizes: ${a.length} and ${b.length}`);
    }
    let result = '';
    for (let i = 0; i < a.length; i++) result += fn(Number(a[i]), Number(b[i]));
    return result as Bytes;
  });

/** Moves the bits by some places and fills with zeros: the length stays. */
const bitShift = (op: '<<' | '>>'): Overload =>
  pure<[Bytes, Int]>(op, [VarBit, Int8], VarBit, (bits, places) => {
    const right = op === '>>' ? Number(places) : -Number(places);
    const zeros = '0'.repeat(Math.min(Math.abs(right), bits.length));
    return (right >= 0 ? zeros + bits.slice(0, bits.length - zeros.length) : bits.slice(zeros.length) + zeros) as Bytes;
  });

export const arithmeticOperators: readonly Overload[] = [
  ints('+', addInt),
  floats('+', (a, b) => a + b),
  ...decimals('+', (a, b) => a.plus(b)),
  ints('-', subInt),
  floats('-', (a, b) => a - b),
  ...decimals('-', (a, b) => a.minus(b)),
  ints('*', mulInt),
  floats('*', (a, b) => a * b),
  ...decimals('*', (a, b) => a.times(b)),
  pure<[Int, Int]>('/', [Int8, Int8], Decimal, (a, b) => DecimalValue.fromInt(a).dividedBy(DecimalValue.fromInt(b))),
  floats('/', (a, b) => a / nonZero(b)),
  ...decimals('/', (a, b) => a.dividedBy(b)),
  ints('//', divInt),
  floats('//', (a, b) => Math.trunc(a / nonZero(b))),
  ...decimals('//', (a, b) => a.dividedToInteger(b)),
  ints('%', modInt),
  floats('%', (a, b) => a % nonZero(b)),
  ...decimals('%', (a, b) => a.remainder(b)),
  ints('^', powInt),
  floats('^', (a, b) => a ** b),
  ...decimals('^', decimalPower),
  ints(
    '&',
    bitwise((a, b) => a & b),
  ),
  ints(
    '|',
    bitwise((a, b) => a | b),
  ),
  ints(
    '#',
    bitwise((a, b) => a ^ b),
  ),
  ints('<<', (a, b) => shiftInt(a, b, 'left')),
  ints('>>', (a, b) => shiftInt(a, b, 'right')),
  bits('&', (a, b) => a & b),
  bits('|', (a, b) => a | b),
  bits('#', (a, b) => a ^ b),
  bitShift('<<'),
  bitShift('>>'),
];

export const unaryOperators: readonly Overload[] = [
  pure<[Int]>('-', [Int8], Int8, negInt),
  pure<[number]>('-', [Float8], Float8, (a) => -a),
  pure<[D]>('-', [Decimal], Decimal, (a) => a.negated()),
  pure<[IntervalValue]>('-', [Interval], Interval, (a) => a.negated()),
  pure<[Int]>('~', [Int8], Int8, (a) => subInt(-1, a)),
  pure<[Bytes]>('~', [VarBit], VarBit, (a) => a.replace(/[01]/g, (bit) => (bit === '0' ? '1' : '0')) as Bytes),
];
