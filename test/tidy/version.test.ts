/** The version that the code knows, and the one in package.json. */
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { VERSION } from '../../src/base/version.ts';

const test = suite('tidy: version');

test('package.json and the code name the same version', () => {
  assert.is(VERSION, JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version);
});
test.run();
