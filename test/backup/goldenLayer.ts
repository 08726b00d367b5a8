/** The layer that test/golden/format holds in every format version: its versions and its manifest. */
import type { Bytes } from '../../src/base/bytes.ts';
import { asBytes, utf8Encode } from '../../src/base/bytes.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import type { Manifest, ManifestFile } from '../../src/backup/manifest.ts';
import type { Descriptor } from '../../src/catalog/descriptor.ts';

/** A whole second of 20 November 2026. */
const NOON = 1_795_176_000_000_000;

type Entry = [key: Bytes, time: Timestamp, value: Bytes | null];

export function goldenEntries(): Entry[] {
  const entries: Entry[] = [];
  const add = (key: string, time: number, value: string | null) => entries.push([asBytes(key), time as Timestamp, value as Bytes | null]);
  for (let i = 0; i < 256; i++) {
    const key = `\xbc\x89${i < 110 ? String.fromCharCode(0x88 + i) : `\xf6${String.fromCharCode(i & 0xff)}`}\x88`;
    if (i === 110) add('\xbc\x89\xf6', 3, 'before the sixes');
    add(key, NOON + i, `\x0a${'v'.repeat(i)}`);
    if (i % 7 === 0) add(key, NOON - 5_000_000 * i - 1, null);
    if (i % 11 === 0) add(key, 12 + (i % 2), '');
  }
  add('\xbc\x8a\x12\x00\xff\x00\x01\x88', Number.MAX_SAFE_INTEGER, utf8Encode('zwölf Boxkämpfer'));
  add('\xbc\x8a\x12\x00\xff\x00\x01\x88', 0, null);
  add('\xbc\x8b\x88', NOON, 'x'.repeat(3 << 20));
  add('\xbd\x89\x88', NOON, 'the end');
  return entries;
}

const database: Descriptor = {
  kind: 'database',
  id: 52,
  name: 'Bänk "1"',
  parentId: 0,
  version: 2,
  modificationTime: NOON as Timestamp,
  state: 'PUBLIC',
  privileges: { owner: 'root', grants: [{ grantee: 'admin', privileges: ['ALL'] }] },
};

export function goldenManifest(file: ManifestFile): Manifest {
  const [part] = file.parts;
  if (part === undefined) throw new Error('a golden file has a part');
  return {
    layerId: '6f0c9d2e-1111-4222-8333-444455556666',
    clusterId: '0a1b2c3d-1111-4222-8333-444455556666',
    jobId: '1795176000000001',
    kind: 'full',
    scope: 'databases',
    targets: ['DATABASE "Bänk ""1"""'],
    startTime: 0 as Timestamp,
    endTime: (NOON + 1_000_000) as Timestamp,
    revisionHistory: true,
    revisionStartTime: NOON as Timestamp,
    localities: [],
    spans: [part.span, { key: asBytes('\xc0'), endKey: asBytes('\xc1\xff') }],
    introducedSpans: [],
    completeDatabaseIds: [52],
    targetIds: [52],
    descriptors: [database],
    descriptorChanges: [
      { id: 52, time: NOON as Timestamp, descriptor: database },
      { id: 53, time: (NOON + 5) as Timestamp, descriptor: undefined },
    ],
    files: [file],
    emptySpans: [
      { span: { key: asBytes('\xc0'), endKey: asBytes('\xc1\xff') }, startTime: 0 as Timestamp, endTime: (NOON + 1_000_000) as Timestamp },
    ],
    entryCounts: { rows: part.rows, indexEntries: part.indexEntries, dataBytes: part.dataBytes },
    parent: undefined,
  };
}
