/**
 * The invariant walker: looks at everything a store holds and lists what breaks S1 to S4.
 * It does not know which versions ought to exist; the tests' oracle does.
 */
import type { Bytes } from '../base/bytes.ts';
import { spanContains } from '../base/span.ts';
import { EVERYTHING } from '../base/span.ts';
import type { SpanEvent } from './changeLog.ts';
import type { StoreStats } from './stats.ts';
import { countChain, emptyStats } from './stats.ts';
import type { StoreState } from './storeState.ts';
import type { Version } from './version.ts';

export function checkStore(state: StoreState): string[] {
  const broken = state.log.check();
  broken.push(...state.tree.check());
  const logged = new Map<string, Version>();
  state.log.walk(EVERYTHING, state.log.floor, state.log.last, (key, version) => {
    if (logged.has(entry(key, version))) broken.push(`change log: ${show(key)}@${version.ts} twice`);
    logged.set(entry(key, version), version);
    return false;
  });

  const counted = emptyStats();
  let last: Bytes | undefined;
  state.tree.walk(EVERYTHING, (key, head) => {
    if (last !== undefined && last >= key) broken.push(`tree: ${show(key)} after ${show(last)}`);
    last = key;
    if (!spanContains(state.span, key)) broken.push(`tree: ${show(key)} outside the store's span`);
    countChain(counted, key, head, 1);
    for (let version: Version | undefined = head; version !== undefined; version = version.older) {
      if (version.older && version.older.ts >= version.ts) {
        broken.push(`chain: ${show(key)} has @${version.older.ts} below @${version.ts}`);
      }
      if (version.ts > state.log.last) broken.push(`chain: ${show(key)}@${version.ts} above the last logged @${state.log.last}`);
      if (version.ts <= state.log.floor) continue;
      const known = logged.get(entry(key, version));
      logged.delete(entry(key, version));
      if (known !== undefined && known !== version && version.ts > state.sharedUpTo) {
        broken.push(`change log: ${show(key)}@${version.ts} is not the version in the chain`);
      }
      if (known === undefined && !state.log.events.some((event) => brought(event, key, version))) {
        broken.push(`change log: ${show(key)}@${version.ts} is missing`);
      }
    }
    return false;
  });
  for (const name of logged.keys()) broken.push(`change log: ${show(name as Bytes)} has no version`);

  for (const name of Object.keys(counted) as (keyof StoreStats)[]) {
    if (counted[name] !== state.stats[name]) broken.push(`stats: ${name} is ${state.stats[name]}, counted ${counted[name]}`);
  }
  return broken;
}

function brought(event: SpanEvent, key: Bytes, { ts }: Version): boolean {
  return event.kind === 'ingest' && ts >= event.minTs && ts <= event.maxTs && spanContains(event.span, key);
}

function entry(key: Bytes, version: Version): string {
  return `${version.ts}/${key}`;
}

function show(key: Bytes): string {
  return JSON.stringify(key);
}
