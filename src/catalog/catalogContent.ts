/**
 * Catalog content: the descriptors and names of one moment, as maps.
 *
 * Immutable; `applied` makes the next content from a commit's rows (layeredMap.ts). Descriptor rows are
 * decoded when first asked for.
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { indexPrefix } from '../base/keycode.ts';
import { prefixSpan, type Span } from '../base/span.ts';
import type { Timestamp } from '../base/timestamp.ts';

import type { Descriptor } from './descriptor.ts';
import { decodeDescriptor } from './descriptorCodec.ts';
import { LayeredMap } from './layeredMap.ts';
import { type CatalogContent, type NameEntry, nameKey } from './snapshot.ts';
import { systemTable } from './systemRows.ts';
import { systemTables } from './systemTables.ts';

const DESCRIPTOR_PREFIX = indexPrefix(systemTables.descriptor.desc.id, systemTables.descriptor.desc.primaryIndex.id);
const NAMESPACE_PREFIX = indexPrefix(systemTables.namespace.desc.id, systemTables.namespace.desc.primaryIndex.id);

/** Where the rows of the catalog live. */
export const DESCRIPTOR_SPAN: Span = prefixSpan(DESCRIPTOR_PREFIX);
export const NAMESPACE_SPAN: Span = prefixSpan(NAMESPACE_PREFIX);

export function descriptorKey(id: number): Bytes {
  return systemTable('descriptor').key(id);
}

/** The id in a descriptor's key; undefined for a key of another table. */
export function descriptorIdOf(key: Bytes): number | undefined {
  return key.startsWith(DESCRIPTOR_PREFIX) ? Number(systemTable('descriptor').decodeKey(key)['id']) : undefined;
}

export function namespaceKey(parentId: number, schemaId: number, name: string): Bytes {
  return systemTable('namespace').key(parentId, schemaId, name);
}

/** What the stored text of a descriptor with a restored past has in it. */
const PAST_MARK = '"past":{"from":';

/** A stored descriptor, decoded on first use. */
class Entry {
  readonly #key: Bytes;
  readonly #value: Bytes;
  readonly #timestamp: Timestamp;
  #decoded: Descriptor | undefined;

  constructor(key: Bytes, value: Bytes, timestamp: Timestamp) {
    this.#key = key;
    this.#value = value;
    this.#timestamp = timestamp;
  }

  /** Without decoding it. */
  get hasPast(): boolean {
    return this.#value.includes(PAST_MARK);
  }

  get descriptor(): Descriptor {
    this.#decoded ??= decodeDescriptor(systemTable('descriptor').decode(this.#key, this.#value)['descriptor'] as Bytes, this.#timestamp);
    return this.#decoded;
  }
}

/** Committed or buffered rows of the two catalog tables, in any order; null is a deleted row. */
export interface CatalogRows {
  readonly keys: readonly Bytes[];
  readonly values: readonly (Bytes | null)[];
  /** Commit time of each row, or of all; 0 for a transaction's own. */
  readonly timestamps: readonly Timestamp[] | Timestamp;
}

export class Content implements CatalogContent {
  readonly version: number;
  readonly #descriptors: LayeredMap<number, Entry>;
  readonly #names: LayeredMap<string, NameEntry>;

  private constructor(version: number, descriptors: LayeredMap<number, Entry>, names: LayeredMap<string, NameEntry>) {
    this.version = version;
    this.#descriptors = descriptors;
    this.#names = names;
  }

  static empty(version: number): Content {
    return new Content(version, LayeredMap.empty(), LayeredMap.empty());
  }

  /** This content with rows changed. */
  applied(version: number, rows: CatalogRows): Content {
    const descriptors: [number, Entry | undefined][] = [];
    const names: [string, NameEntry | undefined][] = [];
    rows.keys.forEach((key, i) => {
      const value = rows.values[i] ?? null;
      const id = descriptorIdOf(key);
      if (id !== undefined) {
        const timestamp = typeof rows.timestamps === 'number' ? rows.timestamps : (rows.timestamps[i] as Timestamp);
        descriptors.push([id, value === null ? undefined : new Entry(key, value, timestamp)]);
      } else {
        assert(key.startsWith(NAMESPACE_PREFIX), 'a row of neither catalog table');
        const entry = decodeName(key, value);
        names.push([nameKey(entry.parentId, entry.schemaId, entry.name), value === null ? undefined : entry]);
      }
    });
    return new Content(version, this.#descriptors.with(descriptors), this.#names.with(names));
  }

  descriptorOf(id: number): Descriptor | undefined {
    return this.#descriptors.get(id)?.descriptor;
  }

  *ids(): Generator<number> {
    for (const [id] of this.#descriptors.entries()) yield id;
  }

  /** Tables that a restore brought back with their history. */
  *idsWithPast(): Generator<number> {
    for (const [id, entry] of this.#descriptors.entries()) if (entry.hasPast) yield id;
  }

  idOf(parentId: number, schemaId: number, name: string): number | undefined {
    return this.#names.get(nameKey(parentId, schemaId, name))?.id;
  }

  *names(parentId: number, schemaId: number): Generator<NameEntry> {
    for (const [, entry] of this.#names.entries()) {
      if (entry.parentId === parentId && entry.schemaId === schemaId) yield entry;
    }
  }
}

function decodeName(key: Bytes, value: Bytes | null): NameEntry {
  const table = systemTable('namespace');
  const row = value === null ? table.decodeKey(key) : table.decode(key, value);
  return {
    parentId: Number(row['parentID']),
    schemaId: Number(row['parentSchemaID']),
    name: String(row['name']),
    id: Number(row['id'] ?? 0),
  };
}
