/** The golden scripts of kv; script.ts has their language. A script whose name starts with `nodes` has three nodes. */
import { basename } from 'node:path';

import { goldenSuite } from '../support/golden.ts';
import { KvScript } from './script.ts';

goldenSuite('kv', (file) => new KvScript(basename(file).startsWith('nodes') ? 3 : 1));
