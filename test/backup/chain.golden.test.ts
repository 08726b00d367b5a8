/**
 * Chains and their coverage as pictures.
 *
 *   layer name start=0 end=10 [history] [from=3] [parent=name] spans=(a-c,e-g) [parts=(a-c@0..10)]
 *           adds a layer; times are microseconds; parts say what files hold where that differs
 *   forget name                 the layer's directory is gone
 *   times                       the restorable intervals
 *   choose [time=15]            the layers a restore reads
 *   prove [to=name]             what the path to a layer (the newest by default) covers
 *
 * Errors are printed as `error CODE: message`, with detail and hint below.
 */

import type { Timestamp } from '../../src/base/timestamp.ts';
import { isVarveError } from '../../src/base/errors.ts';
import type { Chain } from '../../src/backup/chain.ts';
import { chooseLayers, newestLayer, pathTo, restorableIntervals } from '../../src/backup/chain.ts';
import { proveCoverage } from '../../src/backup/coverage.ts';
import type { Layer } from '../../src/backup/manifest.ts';
import type { GoldenCommand } from '../support/golden.ts';
import { goldenSuite } from '../support/golden.ts';
import { makeLayer } from './support.ts';

goldenSuite('chain', () => {
  const layers: Layer[] = [];
  const find = (name: string) => layers.find((layer) => layer.directory === name);
  const chain = () => layers as unknown as Chain;

  const commands: Record<string, (command: GoldenCommand) => string> = {
    layer(command) {
      const parent = command.arg('parent') ?? layers.at(-1)?.directory;
      const name = command.input.trim() === '' ? `L${layers.length + 1}` : command.input.trim();
      const start = Number(command.arg('start'));
      const layer = makeLayer({
        directory: name,
        start,
        end: Number(command.arg('end')),
        history: command.has('history'),
        from: command.has('from') ? Number(command.arg('from')) : undefined,
        parent: start === 0 || parent === undefined ? undefined : find(parent),
        spans: command.args.get('spans'),
        parts: command.args.get('parts'),
      } as Parameters<typeof makeLayer>[0]);
      layers.push(layer);
      return `${name} ${layer.manifest.kind} (${start}, ${layer.manifest.endTime}]`;
    },
    forget(command) {
      const at = layers.findIndex((layer) => layer.directory === command.input.trim());
      layers.splice(at, 1);
      return `${layers.length} layers left`;
    },
    times() {
      return restorableIntervals(chain())
        .map(({ from, to, layer }) => (from === to ? `@${to} by ${layer.directory}` : `@${from} to @${to} by ${layer.directory}`))
        .join('\n');
    },
    choose(command) {
      const time = command.has('time') ? (Number(command.arg('time')) as Timestamp) : undefined;
      const chosen = chooseLayers(chain(), time);
      return `@${chosen.time}: ${chosen.layers.map((layer) => layer.directory).join(', ')}`;
    },
    prove(command) {
      const to = command.arg('to');
      const layer = (to === undefined ? undefined : find(to)) ?? newestLayer(chain());
      return proveCoverage(pathTo(chain(), layer))
        .map(({ span, time }) => `[${span.key}, ${span.endKey}) up to @${time}`)
        .join('\n');
    },
  };
  return {
    run(command) {
      try {
        return commands[command.name]?.(command) ?? `no command ${command.name}`;
      } catch (error) {
        if (!isVarveError(error)) throw error;
        return shorten([`error ${error.code}: ${error.message}`, `detail: ${error.detail}`, `hint: ${error.hint}`].join('\n'));
      }
    },
  };
});

/** Times near the epoch as `@n`, keys of one letter as the letter. */
function shorten(text: string): string {
  return text
    .replace(/1970-01-01 00:00:00\.(\d{6})\+00:00/g, (_, micros: string) => `@${Number(micros)}`)
    .replace(/\/\?\?\?([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
