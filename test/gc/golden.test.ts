/** The golden scripts of gc, in the language of test/kv/script.ts. */
import { KvScript } from '../kv/script.ts';
import { goldenSuite } from '../support/golden.ts';

goldenSuite('gc', () => new KvScript());
