/**
 * Ids: names for things, from the seeded source and the clock, so a simulated run repeats exactly.
 *
 * Job and row ids are INT8: microseconds of the clock, raised so that each is above the one
 * before, hence unique in a cluster, ordered by creation, and a safe integer. Names are hyperid's
 * counter under a prefix of our own: hyperid draws its prefix from the system, a seed draws ours.
 */
import hyperid from 'hyperid';

import { toBuffer, toHex } from './bytes.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

export class Ids {
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #next = hyperid({ urlSafe: true, maxInt: Number.MAX_SAFE_INTEGER });
  #lastInt8 = 0;

  constructor(random: Random, clock: Clock) {
    this.#random = random;
    this.#clock = clock;
    this.#prefix = toBuffer(random.fork('names').bytes(9)).toString('base64url');
  }

  /** For a fork of the cluster: ids from another source, each INT8 above what was given out before. */
  fork(random: Random, clock: Clock): Ids {
    const fork = new Ids(random, clock);
    fork.#lastInt8 = this.#lastInt8;
    return fork;
  }

  /** A version 4 UUID (RFC 9562), lower case. */
  uuid(): string {
    const hex = toHex(this.#random.bytes(16));
    const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  /** A positive INT8, greater than every one before it from here. */
  int8(): number {
    this.#lastInt8 = Math.max(this.#lastInt8 + 1, Math.floor(this.#clock.nowMicros()));
    return this.#lastInt8;
  }

  /** A positive INT8 that another cluster is unlikely to draw too. */
  randomInt8(): number {
    return 1 + this.#random.int(Number.MAX_SAFE_INTEGER - 1);
  }

  /** A short name of URL-safe chars, unique here. */
  name(): string {
    const counted = this.#next();
    return this.#prefix + counted.slice(counted.lastIndexOf('-'));
  }
}
