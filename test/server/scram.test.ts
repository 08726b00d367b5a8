/** SCRAM-SHA-256: the RFC's own example, what a stored verifier looks like, and messages that are none. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { decoyVerifier, formatVerifier, makeVerifier, parseVerifier } from '../../src/catalog/scram.ts';
import { ScramExchange } from '../../src/server/pgwire/scramExchange.ts';
import { isVarveError } from '../../src/base/errors.ts';

const code = (expected: string) => (error: Error) => isVarveError(error) && error.code === expected;

const test = suite('SCRAM-SHA-256');

// RFC 7677, section 3: user "user", password "pencil".
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
const CLIENT_FIRST = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO';
const SERVER_NONCE = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
const CLIENT_FINAL = 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';

const verifier = makeVerifier('pencil', { iterations: 4096, salt: SALT });

test("the RFC's example", () => {
  const exchange = new ScramExchange(verifier, SERVER_NONCE);
  assert.is(exchange.first(CLIENT_FIRST), `r=rOprNGfwEbeRWgbNEkqO${SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`);
  assert.is(exchange.final(CLIENT_FINAL), 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
});

test('another password, another salt: no signature', () => {
  for (const other of [makeVerifier('Pencil', { iterations: 4096, salt: SALT }), decoyVerifier('user', randomBytes(32))]) {
    const exchange = new ScramExchange(other, SERVER_NONCE);
    exchange.first(CLIENT_FIRST);
    assert.is(exchange.final(CLIENT_FINAL), undefined);
  }
});

test('a verifier is stored as PostgreSQL stores it, and read back', () => {
  const text = formatVerifier(verifier);
  assert.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/);
  assert.equal(parseVerifier(text), verifier);
  for (const bad of ['', 'SCRAM-SHA-256$', 'md5abc', text.slice(0, -1), `${text}x`, text.replace('4096', '-1')]) {
    assert.is(parseVerifier(bad), undefined, bad);
  }
  assert.is.not(formatVerifier(makeVerifier('pencil')), formatVerifier(makeVerifier('pencil')), 'salts are fresh');
});

test('a decoy is the same for a user as long as the secret is', () => {
  const secret = randomBytes(32);
  assert.equal(decoyVerifier('u', secret), decoyVerifier('u', secret));
  assert.is.not(decoyVerifier('u', secret).salt.toString('hex'), decoyVerifier('v', secret).salt.toString('hex'));
});

test('messages that are none are protocol violations', () => {
  for (const first of ['', 'n,,', 'n=user,r=x', 'p=tls-unique,,n=u,r=x', 'n,,m=x,n=u,r=x', 'n,,n=u,r=', 'x,,n=u,r=abc']) {
    assert.throws(() => new ScramExchange(verifier).first(first), code('08P01'), first);
  }
  for (const final of [
    '',
    CLIENT_FINAL.replace('biws', 'eSws'),
    CLIENT_FINAL.replace('r=rO', 'r=rP'),
    CLIENT_FINAL.replace(/,p=.*/, ''),
    `${CLIENT_FINAL},x=y`,
  ]) {
    const exchange = new ScramExchange(verifier, SERVER_NONCE);
    exchange.first(CLIENT_FIRST);
    assert.throws(() => exchange.final(final), code('08P01'), final);
  }
});

test('no text does anything but answer or fail with 08P01', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (first, final) => {
      const exchange = new ScramExchange(verifier, SERVER_NONCE);
      for (const step of [() => exchange.first(first), () => exchange.final(final)]) {
        try {
          step();
        } catch (error) {
          assert.ok(code('08P01')(error as Error));
        }
      }
    }),
  );
});

test.run();
