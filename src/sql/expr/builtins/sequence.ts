/**
 * nextval, currval, setval, lastval: work that waits, since a sequence is a key in the store. The
 * sequence is named as text or given by REGCLASS, as a column default holds it.
 */
import { type Bytes as ByteString, utf8Decode } from '../../../base/bytes.ts';
import { StatementError } from '../../../base/errors.ts';
import type { Datum } from '../../../catalog/datum.ts';
import { Type } from '../../../catalog/type.ts';
import { Bool, Int8, Text } from '../define.ts';
import type { EvalContext, SequenceRef } from '../evalContext.ts';
import type { Int } from '../intArithmetic.ts';
import type { Overload, Param } from '../overload.ts';

type Run = (ctx: EvalContext, sequence: SequenceRef, ...args: Datum[]) => Promise<Datum>;

/** The overload by name and the one by REGCLASS. */
function onSequence(name: string, params: readonly Param[], run: Run): Overload[] {
  return [
    {
      name,
      params: [Text, ...params],
      returns: Int8,
      volatility: 'volatile',
      preferred: true,
      asyncFn: (ctx, sequence, ...args) => named(name, () => run(ctx, { name: utf8Decode(sequence as ByteString) }, ...args)),
    },
    {
      name,
      params: [Type.RegClass, ...params],
      returns: Int8,
      volatility: 'volatile',
      asyncFn: (ctx, sequence, ...args) => named(name, () => run(ctx, { id: sequence as number }, ...args)),
    },
  ];
}

/** Says in an error which function it is of. */
async function named<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const head = `${name}(): `;
    if (!(error instanceof StatementError) || error.message.startsWith(head)) throw error;
    throw new StatementError(error.code, head + error.message, { detail: error.detail, hint: error.hint, cause: error });
  }
}

const setval: Run = async (ctx, sequence, value, isCalled = true) => {
  await ctx.sequences.setval(sequence, value as Int, isCalled as boolean);
  return value as Int;
};

export const sequenceFunctions: readonly Overload[] = [
  ...onSequence('nextval', [], (ctx, sequence) => ctx.sequences.nextval(sequence)),
  ...onSequence('currval', [], (ctx, sequence) => ctx.sequences.currval(sequence)),
  ...onSequence('setval', [Int8], setval),
  ...onSequence('setval', [Int8, Bool], setval),
  { name: 'lastval', params: [], returns: Int8, volatility: 'volatile', asyncFn: (ctx) => ctx.sequences.lastval() },
];
