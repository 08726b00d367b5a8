/** The chart of statuses, event by event, and what each does to a record. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { timestamp } from '../../src/base/timestamp.ts';
import type { JobRecord } from '../../src/jobs/job.ts';
import { isTerminal, type JobEvent, type JobStatus, nextJobState } from '../../src/jobs/jobMachine.ts';
import { recordAfter, recordAfterRequest } from '../../src/jobs/transitions.ts';

const test = suite('job transitions');

const STATUSES: readonly JobStatus[] = [
  'pending',
  'running',
  'retry-running',
  'pause-requested',
  'paused',
  'cancel-requested',
  'reverting',
  'retry-reverting',
  'succeeded',
  'failed',
  'canceled',
  'revert-failed',
];
const EVENTS = [
  'claim',
  'complete',
  'retry',
  'retryDue',
  'fail',
  'reverted',
  'pause',
  'pauseSelf',
  'resume',
  'cancel',
  'acknowledge',
] as const;

const record = (status: JobStatus, more: Partial<JobRecord> = {}): JobRecord => ({
  id: 1,
  type: 'TOY',
  description: '',
  user: 'root',
  details: null,
  status,
  claimEpoch: 1,
  claim: { nodeId: 1, nodeEpoch: 1 },
  created: timestamp(1),
  modified: timestamp(1),
  progress: null,
  fractionCompleted: 0.5,
  executionErrors: [],
  attempts: 0,
  ...more,
});

test('every legal transition, and no other', () => {
  const legal: string[] = [];
  for (const pausedWhileReverting of [false, true]) {
    for (const revertOutcome of [undefined, 'canceled'] as const) {
      for (const status of STATUSES) {
        for (const name of EVENTS) {
          const next = nextJobState({ status, revertOutcome, pausedWhileReverting }, { type: `job.${name}` } as JobEvent);
          if (next) legal.push(`${status} ${name} -> ${next.status}`);
        }
      }
    }
  }
  assert.equal([...new Set(legal)].sort(), [
    'cancel-requested acknowledge -> reverting',
    'pause-requested acknowledge -> paused',
    'paused cancel -> cancel-requested',
    'paused resume -> reverting',
    'paused resume -> running',
    'pending cancel -> cancel-requested',
    'pending claim -> running',
    'pending pause -> pause-requested',
    'retry-reverting claim -> retry-reverting',
    'retry-reverting pause -> pause-requested',
    'retry-reverting retryDue -> reverting',
    'retry-running cancel -> cancel-requested',
    'retry-running claim -> retry-running',
    'retry-running pause -> pause-requested',
    'retry-running retryDue -> running',
    'reverting claim -> reverting',
    'reverting fail -> revert-failed',
    'reverting pause -> pause-requested',
    'reverting pauseSelf -> paused',
    'reverting retry -> retry-reverting',
    'reverting reverted -> canceled',
    'reverting reverted -> failed',
    'running cancel -> cancel-requested',
    'running claim -> running',
    'running complete -> succeeded',
    'running fail -> reverting',
    'running pause -> pause-requested',
    'running pauseSelf -> paused',
    'running retry -> retry-running',
  ]);
});

test('a paused or terminal record has no claim; a terminal one, and only that, has finished', () => {
  for (const status of STATUSES) {
    for (const name of EVENTS) {
      const next = recordAfter(record(status), { type: `job.${name}` } as JobEvent, timestamp(9));
      if (!next) continue;
      assert.is(next.modified, 9);
      assert.is(next.finished, isTerminal(next.status) ? 9 : undefined, `${status} ${name}`);
      if (next.status === 'paused' || isTerminal(next.status)) assert.is(next.claim, undefined);
      else assert.equal(next.claim, record(status).claim);
    }
  }
  assert.is(recordAfter(record('running'), { type: 'job.complete' }, timestamp(9))?.fractionCompleted, 1);
  assert.is(recordAfter(record('pending'), { type: 'job.claim' }, timestamp(9))?.started, 9);
  assert.is(recordAfter(record('pending', { started: timestamp(3) }), { type: 'job.claim' }, timestamp(9))?.started, 3);
});

test('a job that failed ends failed; one that was canceled ends canceled; a pause between changes neither', () => {
  const path = (from: JobRecord, ...events: (typeof EVENTS)[number][]): JobRecord =>
    events.reduce((current, name) => {
      const next = recordAfter(current, { type: `job.${name}` } as JobEvent, timestamp(9));
      assert.ok(next, `${current.status} ${name}`);
      return next;
    }, from);
  assert.is(path(record('running'), 'fail', 'reverted').status, 'failed');
  assert.is(path(record('running'), 'cancel', 'acknowledge', 'reverted').status, 'canceled');
  assert.is(path(record('running'), 'fail', 'pause', 'acknowledge', 'resume', 'reverted').status, 'failed');
  assert.is(
    path(record('running'), 'pause', 'acknowledge', 'cancel', 'acknowledge', 'pause', 'acknowledge', 'resume', 'reverted').status,
    'canceled',
  );
});

test('requests: what is so already changes nothing, what cannot be is 55000', () => {
  const outcome = (status: JobStatus, request: 'pause' | 'resume' | 'cancel', more: Partial<JobRecord> = {}): string => {
    const before = record(status, more);
    try {
      const after = recordAfterRequest(before, request, timestamp(9));
      return after === before ? 'same' : after.status;
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as Error).message}`;
    }
  };
  assert.is(outcome('paused', 'pause'), 'same');
  assert.is(outcome('running', 'resume'), 'same');
  assert.is(outcome('cancel-requested', 'cancel'), 'same');
  assert.is(outcome('cancel-requested', 'pause'), '55000 job with status cancel-requested cannot be requested to be paused');
  assert.is(outcome('pause-requested', 'resume'), '55000 job with status pause-requested cannot be resumed');
  assert.is(outcome('failed', 'cancel'), '55000 job with status failed cannot be requested to be canceled');
  assert.is(outcome('paused', 'cancel', { pausedWhileReverting: true }), '55000 job with status paused cannot be requested to be canceled');
  assert.is(outcome('paused', 'resume', { pausedWhileReverting: true }), 'reverting');
});

test.run();
