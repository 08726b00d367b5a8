import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { isVarveError } from '../../src/base/errors.ts';
import { Decimal } from '../../src/catalog/decimal.ts';

const decimals = suite('decimal');

const d = (text: string): Decimal => {
  const value = Decimal.parse(text);
  assert.ok(value, text);
  return value as Decimal;
};

const finite = fc
  .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.integer({ min: -6, max: 20 }))
  .map(([coefficient, scale]) => Decimal.of(coefficient, scale));

/** A decimal as a fraction over 10^40: exact for everything `finite` makes, so bigints can be the oracle. */
const SCALE = 40n;
const exact = (value: Decimal): bigint => value.coefficient * 10n ** (SCALE - BigInt(value.scale));

decimals('sums, differences and products are exact', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      assert.is(exact(a.plus(b)), exact(a) + exact(b));
      assert.is(exact(a.minus(b)), exact(a) - exact(b));
      assert.is(exact(a.times(b)) * 10n ** SCALE, exact(a) * exact(b));
    }),
  );
});

decimals('comparison is by value', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      const difference = exact(a) - exact(b);
      assert.is(Math.sign(a.compare(b)), difference < 0n ? -1 : difference > 0n ? 1 : 0);
    }),
  );
});

decimals('a quotient is the exact one rounded half up to 20 digits', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      fc.pre(!b.isZero);
      const quotient = a.dividedBy(b);
      assert.ok(quotient.digits <= 20);
      // |quotient * b - a| is at most half a unit of the quotient's last place, times |b|.
      const error = quotient.times(b).minus(a).abs();
      const half = Decimal.of(5n, quotient.scale + 1)
        .times(b)
        .abs();
      assert.ok(error.compare(half) <= 0, `${a} / ${b} = ${quotient}`);
    }),
  );
});

decimals('quotient and remainder fit together', () => {
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      fc.pre(!b.isZero);
      const whole = a.dividedToInteger(b);
      assert.ok(whole.times(b).plus(a.remainder(b)).equals(a));
      assert.ok(a.remainder(b).abs().compare(b.abs()) < 0);
    }),
  );
});

decimals('text round trip keeps coefficient and scale', () => {
  fc.assert(
    fc.property(finite, (a) => {
      const back = d(a.toString());
      assert.is(back.coefficient, a.coefficient);
      assert.is(back.scale, a.scale);
      assert.ok(d(a.toFixed()).equals(a));
    }),
  );
});

decimals('known answers', () => {
  assert.is(String(d('1.10').plus(d('1.0'))), '2.10');
  assert.is(String(d('1.10').times(d('2.0'))), '2.200');
  assert.is(String(d('1').dividedBy(d('3'))), '0.33333333333333333333');
  assert.is(String(d('2').dividedBy(d('3'))), '0.66666666666666666667');
  assert.is(String(d('10').dividedBy(d('4'))), '2.5');
  assert.is(String(d('10.00').dividedBy(d('5'))), '2.00');
  assert.is(String(d('-7').remainder(d('3'))), '-1');
  assert.is(String(d('2.5').withScale(0)), '3');
  assert.is(String(d('-2.5').withScale(0)), '-3');
  assert.is(String(d('1234.5').withScale(-2)), '1.2E+3');
  assert.is(String(d('-1.5').floor()), '-2');
  assert.is(String(d('-1.5').ceil()), '-1');
  assert.is(String(d('99999').rounded(4)), '1.000E+5');
  assert.is(String(Decimal.fromFloat(1e21)), '1000000000000000000000');
  assert.is(d('1e400').toNumber(), Infinity);
  assert.is(Decimal.fromDecimalJs(d('2').toDecimalJs().sqrt()).toString(), '1.4142135623730950488');
});

decimals('NaN and infinities follow their rules', () => {
  assert.ok(Decimal.NaN.plus(Decimal.One).isNaN);
  assert.ok(Decimal.Infinity.minus(Decimal.Infinity).isNaN);
  assert.ok(Decimal.Infinity.times(Decimal.Zero).isNaN);
  assert.is(String(Decimal.Infinity.times(d('-2'))), '-Infinity');
  assert.is(String(Decimal.One.dividedBy(Decimal.Infinity)), '0');
  const sorted = [Decimal.NaN, Decimal.NegativeInfinity, d('-1'), Decimal.Zero, d('1'), Decimal.Infinity];
  assert.equal(
    [...sorted].reverse().sort((a, b) => a.compare(b)),
    sorted,
  );
});

decimals('division by zero and runaway exponents are errors', () => {
  const code = (expected: string) => (error: unknown) => isVarveError(error) && error.code === expected;
  assert.throws(() => Decimal.One.dividedBy(Decimal.Zero), code('22012'));
  assert.throws(() => Decimal.One.remainder(Decimal.Zero), code('22012'));
  assert.throws(() => d('1e1500').times(d('1e1500')), code('22003'));
});

decimals.run();
