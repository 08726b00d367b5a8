/**
 * Every anomaly that the Hermitage tests know, under every level: a script each, named for both.
 * docs/isolation.md has the table. Source of the cases: github.com/ept/hermitage (the idea of each).
 */
import { goldenSuite } from '../support/golden.ts';
import { transcript } from './transcript.ts';

goldenSuite('hermitage', transcript);
