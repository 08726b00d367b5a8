/** Units of work from layers: which files hold which keys, and which of them must not be merged. */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import fc from 'fast-check';

import { asBytes } from '../../src/base/bytes.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Layer } from '../../src/backup/manifest.ts';
import { coverSpans, filesUsedWhole, unitBytes, unitsAfter } from '../../src/restore/spanCovering.ts';
import { makeLayer, parseSpan } from '../backup/support.ts';

const test = suite('span covering');

/** A layer of `a-c@0..10` parts, one file each; those that end in `-` (`a-c@0..10-`) are empty. */
function layer(directory: string, start: number, end: number, ...parts: string[]): Layer {
  const made = makeLayer({ directory, start, end, parts: parts.filter((part) => !part.endsWith('-')) });
  const empty = parts.filter((part) => part.endsWith('-')).map((part) => part.slice(0, -1));
  const { manifest } = makeLayer({ directory, start, end, parts: empty });
  return { ...made, manifest: { ...made.manifest, emptySpans: manifest.files.flatMap((file) => file.parts) } };
}

/** `[a, c) full/1106-1-0 inc/1106-1-0`. */
function cover(spans: string[], layers: Layer[], time = 1000): string[] {
  const units = coverSpans(spans.map(parseSpan), layers, time as Timestamp);
  return units.map(
    ({ span, files }) =>
      `[${span.key}, ${span.endKey}) ${files.map(({ name }) => name.replace(/data\/1106-1-(\d+)\.vkv/, '$1')).join(' ')}`,
  );
}

const full = layer('full', 0, 10, 'a-e@0..10', 'e-g@0..10');

test('a full alone: its parts, cut at the spans that are asked for', () => {
  assert.equal(cover(['a-c', 'd-f'], [full]), ['[a, c) full/0', '[d, e) full/0', '[e, f) full/1']);
});

test('layers are stacked, oldest first; where an incremental has nothing the full stands alone', () => {
  const inc = layer('inc', 10, 20, 'a-c@10..20', 'c-e@10..20-', 'e-g@10..20-');
  assert.equal(cover(['a-g'], [full, inc]), ['[a, c) full/0 inc/0', '[c, e) full/0', '[e, g) full/1']);
});

test('what is introduced hides what earlier layers have: they hold keys that were deleted since', () => {
  const inc = layer('inc', 10, 20, 'a-c@10..20', 'c-d@0..20', 'd-e@0..20-', 'e-g@10..20-');
  assert.equal(cover(['a-g'], [full, inc]), ['[a, c) full/0 inc/0', '[c, d) inc/1', '[e, g) full/1']);
});

test('spans that touch are not joined: each belongs to one index', () => {
  assert.equal(cover(['a-b', 'b-c'], [full]), ['[a, b) full/0', '[b, c) full/0']);
});

test('a layer that begins at or after the time has nothing to give', () => {
  const inc = layer('inc', 10, 20, 'a-g@10..20');
  assert.equal(cover(['a-e'], [full, inc], 10), ['[a, e) full/0']);
  assert.equal(cover(['a-e'], [full, inc], 11), ['[a, e) full/0 inc/0']);
});

test('what is done is left out, inside units too', () => {
  const units = coverSpans([parseSpan('a-g')], [full], 10 as Timestamp);
  const after = (key: string) => unitsAfter(units, asBytes(key)).map(({ span }) => `${span.key}-${span.endKey}`.replaceAll('\x00', '.'));
  assert.equal(after('a'), ['a.-e', 'e-g']);
  assert.equal(after('d'), ['d.-e', 'e-g']);
  assert.equal(after('e'), ['e.-g']);
  assert.equal(after('f'), ['f.-g']);
  assert.is(unitsAfter(units, undefined).length, 2);
});

test('a file is read whole only when every part of it is used to its end', () => {
  const one = (spans: string[]) => {
    const units = coverSpans(spans.map(parseSpan), [full], 10 as Timestamp);
    const file = units[0]?.files[0];
    assert.ok(file);
    return filesUsedWhole(units).has(file);
  };
  assert.is(one(['a-e']), true);
  assert.is(one(['a-c', 'c-e']), true);
  assert.is(one(['a-d']), false);
  assert.is(one(['b-e']), false);
  assert.is(one(['a-b', 'c-e']), false);
  assert.is(unitBytes({ span: parseSpan('a-b'), files: coverSpans([parseSpan('a-b')], [full], 10 as Timestamp)[0]?.files ?? [] }), 10);
});

test('random layers: key by key, the units have the files that a walk over all parts finds', () => {
  const keys = 'abcdefghij';
  // Each layer cuts all keys at random places; each stretch is continuing or from 0, with a file or without.
  const cuts = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 5 }), fc.boolean()), { minLength: 9, maxLength: 9 });
  fc.assert(
    fc.property(fc.array(cuts, { minLength: 1, maxLength: 4 }), (all) => {
      const layers = all.map((layerCuts, n) => {
        const [start, end] = [n * 10, n * 10 + 10];
        const parts: string[] = [];
        let from = 0;
        layerCuts.forEach(([isCut, kind, isEmpty], i) => {
          if (!isCut && i < 8) return;
          const since = n === 0 || kind === 0 ? 0 : start;
          parts.push(`${keys[from]}-${keys[i + 1]}@${since}..${end}${isEmpty ? '-' : ''}`);
          from = i + 1;
        });
        return layer(`l${n}`, start, end, ...parts);
      });
      const units = coverSpans([parseSpan('a-c'), parseSpan('d-j')], layers, 1000 as Timestamp);
      for (const key of 'abdefghi') {
        let expected: string[] = [];
        for (const { manifest, directory } of layers) {
          const holds = ({ span }: { span: { key: string; endKey: string } }) => span.key <= key && key < span.endKey;
          const empty = manifest.emptySpans.find(holds);
          const file = manifest.files.find(({ parts }) => parts.some(holds));
          const startTime = empty?.startTime ?? file?.parts.find(holds)?.startTime;
          if (startTime === 0) expected = [];
          if (file) expected = [...expected, `${directory}/${file.path}`];
        }
        const found = units.filter(({ span }) => span.key <= key && key < span.endKey);
        assert.ok(found.length <= 1);
        assert.equal(found[0]?.files.map(({ name }) => name) ?? [], expected, `key ${key}`);
      }
      assert.not.ok(units.some(({ span }) => span.key < 'd' && span.endKey > 'c'));
    }),
    { numRuns: 300 },
  );
});

test.run();
