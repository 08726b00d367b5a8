/** Locks, priorities, time limits and automatic retries, as clients see them: transcripts of a few sessions. */
import { goldenSuite } from '../support/golden.ts';
import { transcript } from './transcript.ts';

goldenSuite('contention', transcript);
