/**
 * Golden scripts of storage: what callers see, and every call that reached the store, with the time.
 *
 *   faults                 rules from the input, one a line: OPERATION [nth=N] [count=N] [name=REGEXP] ACTION...
 *                          ACTION is fail, fail-after, outage (retryable), lost-answer (retryable, after the work),
 *                          delay=10s, truncate=N or corrupt
 *   write NAME TEXT [if-absent]   read NAME   size NAME   list [PREFIX] [delimiter]   delete NAME
 *
 * Commands go through retry, faults and memory, in this order; time passes until they are done.
 */
import { formatDuration, parseDuration } from '../../src/base/duration.ts';
import { isVarveError } from '../../src/base/errors.ts';
import { ManualClock } from '../../src/base/manualClock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { ExternalStorage, StorageOperation } from '../../src/storage/externalStorage.ts';
import { type FaultAction, FaultInjector, type FaultRule } from '../../src/storage/faulty.ts';
import { MemoryFiles, openMemory } from '../../src/storage/memory.ts';
import { withRetry } from '../../src/storage/retry.ts';
import { ParsedUri } from '../../src/storage/uri.ts';
import { goldenSuite, type GoldenCommand, type GoldenHandler } from '../support/golden.ts';

goldenSuite('storage', () => new StorageScript());

class StorageScript implements GoldenHandler {
  readonly #clock = new ManualClock('2026-11-20T00:00:00Z');
  readonly #injector = new FaultInjector({ rules: [], random: seededRandom('golden'), clock: this.#clock });
  readonly #storage: ExternalStorage;

  constructor() {
    const memory = openMemory(ParsedUri.parse('mem://c'), new MemoryFiles());
    // Waits of exactly half the delay: what a source of zeros gives.
    const random = { ...seededRandom(0), float: () => 0 };
    this.#storage = withRetry(this.#injector.wrap(memory), { clock: this.#clock, random });
  }

  async run(command: GoldenCommand): Promise<string> {
    if (command.name === 'faults') {
      this.#injector.setRules(
        command.input
          .split('\n')
          .filter((line) => line !== '')
          .map(parseRule),
      );
      return '';
    }
    const start = this.#clock.nowMicros();
    const calls: string[] = [];
    let result: string | undefined;
    const running = this.#call(command).then(
      (text) => {
        result = text;
      },
      (error: unknown) => {
        if (!isVarveError(error)) throw error;
        result = `error ${error.code}: ${error.message}${error.detail === undefined ? '' : ` (${error.detail})`}`;
      },
    );
    for (;;) {
      await this.#clock.advance(0);
      const elapsed = formatDuration(this.#clock.nowMicros() - start);
      for (const call of this.#injector.log.splice(0)) {
        calls.push(`  +${elapsed} ${call.operation} "${call.name}"${call.fault === undefined ? '' : `: ${call.fault}`}`);
      }
      const due = this.#clock.nextDue();
      if (result !== undefined || due === undefined) break;
      await this.#clock.set(due);
    }
    await running;
    return [...calls, result].join('\n');
  }

  async #call(command: GoldenCommand): Promise<string> {
    const [name = '', text = ''] = [...command.args.keys()];
    switch (command.name) {
      case 'write': {
        const { sizeBytes } = await this.#storage.write(name, Buffer.from(text), { ifAbsent: command.has('if-absent') });
        return `${sizeBytes} bytes`;
      }
      case 'read':
        return JSON.stringify(Buffer.from(await this.#storage.read(name)).toString('latin1'));
      case 'size':
        return String(await this.#storage.size(name));
      case 'delete':
        await this.#storage.delete(name);
        return 'ok';
      case 'list': {
        const isFolded = command.has('delimiter');
        const prefix = name === 'delimiter' ? '' : name;
        return (await this.#storage.list(prefix, isFolded ? { delimiter: '/' } : {})).join(' ') || '(nothing)';
      }
      default:
        throw new Error(`${command.where}: no command ${command.name}`);
    }
  }
}

function parseRule(line: string): FaultRule {
  const [operation = '', ...words] = line.split(' ');
  let rule: { -readonly [K in keyof FaultRule]: FaultRule[K] } = { operations: [operation as StorageOperation], action: { kind: 'fail' } };
  for (const word of words) {
    const [key = '', value = ''] = word.split('=');
    if (key === 'nth' || key === 'count') rule = { ...rule, [key]: Number(value) };
    else if (key === 'name') rule.name = new RegExp(value);
    else rule.action = parseAction(key, value);
  }
  return rule;
}

function parseAction(key: string, value: string): FaultAction {
  switch (key) {
    case 'fail':
      return { kind: 'fail' };
    case 'fail-after':
      return { kind: 'fail', after: true };
    case 'outage':
      return { kind: 'fail', isRetryable: true, message: 'connection refused' };
    case 'lost-answer':
      return { kind: 'fail', after: true, isRetryable: true, message: 'connection reset' };
    case 'delay':
      return { kind: 'delay', micros: parseDuration(value) };
    case 'truncate':
      return { kind: 'truncate', keepBytes: Number(value) };
    case 'corrupt':
      return { kind: 'corrupt' };
    default:
      throw new Error(`no fault ${key}`);
  }
}
