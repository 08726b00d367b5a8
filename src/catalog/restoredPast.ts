/**
 * Restored past: a table that a restore brought back with its history can be read as of times at which it
 * was not here yet. The catalog of such a time does not know it; what it is called and how its rows are to
 * be read is told by its descriptor of today.
 *
 *   from                  until        published
 *    |---- restored past ----|            |--------- the table's own history ------->
 *
 *   RP1  inside [from, until] the table is what was restored (`table`), under the name that it has today and with
 *        the privileges of today; between `until` and its publication it is nowhere
 *   RP2  a name that means such a table today means it there too, whatever had the name then: its past is that
 *        of the table that was backed up
 *   RP3  statements that read history see it (Catalog.withPasts); backups, jobs, zones and GC, which ask for the
 *        catalog itself, do not: nothing claims that the table was here
 */
import type { Timestamp } from '../base/timestamp.ts';

import type { Content } from './catalogContent.ts';
import { type Descriptor, PUBLIC_SCHEMA_ID, type TableDescriptor } from './descriptor.ts';
import { type CatalogContent, type NameEntry, nameKey } from './snapshot.ts';

const pasts = new WeakMap<Content, readonly TableDescriptor[]>();

/** The tables of today that have a past; looked up once for a content. */
function tablesWithPast(today: Content): readonly TableDescriptor[] {
  let found = pasts.get(today);
  if (found === undefined) {
    found = [...today.idsWithPast()].flatMap((id) => {
      const one = today.descriptorOf(id);
      return one?.kind === 'table' && one.state === 'PUBLIC' && one.past?.table.id === one.id ? [one] : [];
    });
    pasts.set(today, found);
  }
  return found;
}

/** The catalog of a time with the tables of today whose restored past holds that time. */
export function overlayPasts(stored: CatalogContent, today: Content, at: Timestamp): CatalogContent {
  const tables = tablesWithPast(today).filter(({ past }) => past !== undefined && past.from <= at && at <= past.until);
  return tables.length === 0 ? stored : new PastContent(stored, today, tables);
}

class PastContent implements CatalogContent {
  readonly version = -1;
  readonly #stored: CatalogContent;
  readonly #descriptors = new Map<number, Descriptor>();
  readonly #names = new Map<string, NameEntry>();

  constructor(stored: CatalogContent, today: Content, tables: readonly TableDescriptor[]) {
    this.#stored = stored;
    for (const { id, name, parentId, schemaId, privileges, version, past } of tables) {
      if (past) this.#add({ ...past.table, id, name, parentId, schemaId, privileges, version });
    }
    const places = new Set(tables.flatMap(({ parentId, schemaId }) => [parentId, schemaId]));
    for (const id of places) {
      const place = today.descriptorOf(id);
      if (place?.state === 'PUBLIC') this.#add(place);
      if (place?.kind === 'database') this.#addName({ parentId: id, schemaId: 0, name: 'public', id: PUBLIC_SCHEMA_ID });
    }
    const isUsed = (ids: readonly number[]) => ids.some((id) => this.#descriptors.has(id));
    for (const id of today.ids()) {
      const type = today.descriptorOf(id);
      if (type?.kind === 'type' && type.state === 'PUBLIC' && isUsed(type.referencedByIds)) this.#add(type);
    }
  }

  #add(descriptor: Descriptor): void {
    const { id, name, parentId } = descriptor;
    this.#descriptors.set(id, descriptor);
    this.#addName({ parentId, schemaId: 'schemaId' in descriptor ? descriptor.schemaId : 0, name, id });
  }

  #addName(entry: NameEntry): void {
    this.#names.set(nameKey(entry.parentId, entry.schemaId, entry.name), entry);
  }

  descriptorOf(id: number): Descriptor | undefined {
    return this.#descriptors.get(id) ?? this.#stored.descriptorOf(id);
  }

  *ids(): Generator<number> {
    yield* this.#descriptors.keys();
    for (const id of this.#stored.ids()) if (!this.#descriptors.has(id)) yield id;
  }

  idOf(parentId: number, schemaId: number, name: string): number | undefined {
    return this.#names.get(nameKey(parentId, schemaId, name))?.id ?? this.#stored.idOf(parentId, schemaId, name);
  }

  *names(parentId: number, schemaId: number): Generator<NameEntry> {
    for (const entry of this.#names.values()) if (entry.parentId === parentId && entry.schemaId === schemaId) yield entry;
    for (const entry of this.#stored.names(parentId, schemaId)) {
      if (!this.#names.has(nameKey(parentId, schemaId, entry.name))) yield entry;
    }
  }
}
