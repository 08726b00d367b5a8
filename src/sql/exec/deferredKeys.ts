/**
 * DeferredKeys: the deferrable foreign keys of one transaction, and the references that dangle for now.
 *
 * A deferred check looks at the end of the statement, as every check does, but only notes what does not
 * hold; it looks again at the commit, or when SET CONSTRAINTS asks for it. Nothing else needs noting:
 * what takes a referenced row away is a change whose own check notes the key.
 *
 *   D1  what is noted is a key, and whether it dangles is asked of the rows of that moment: savepoints
 *       and later statements need not be followed
 *   D2  the transaction commits only when nothing that is noted dangles any more
 *
 * Lives elsewhere: looking (foreignKeys.ts), when (transaction.ts).
 * Source: PostgreSQL documentation, "SET CONSTRAINTS".
 */
import type { Datum } from '../../catalog/datum.ts';
import type { ForeignKeyDescriptor, TableDescriptor } from '../../catalog/descriptor.ts';

/** A key that some row refers to and no row has. */
export interface DanglingKey {
  readonly key: readonly Datum[];
  /** The statement that left it so, and on which side it wrote. */
  readonly verb: string;
  readonly side: 'referring' | 'referenced';
}

export interface DanglingKeys {
  readonly tableId: number;
  readonly foreignKeyId: number;
  readonly keys: readonly DanglingKey[];
}

interface Noted {
  readonly tableId: number;
  readonly foreignKeyId: number;
  keys: DanglingKey[];
}

const nameOf = (tableId: number, foreignKeyId: number): string => `${tableId}/${foreignKeyId}`;

export class DeferredKeys {
  /** What SET CONSTRAINTS ALL said last, and what it said of single ones since. */
  #ofAll: boolean | undefined;
  readonly #ofOne = new Map<string, boolean>();
  readonly #noted = new Map<string, Noted>();
  /** Looks at keys with the means of the statement that noted some last. */
  #look: ((dangling: readonly DanglingKeys[]) => Promise<void>) | undefined;

  isDeferred(table: TableDescriptor, fk: ForeignKeyDescriptor): boolean {
    if (fk.deferral === undefined) return false;
    return this.#ofOne.get(nameOf(table.id, fk.id)) ?? this.#ofAll ?? fk.deferral === 'deferred';
  }

  /** SET CONSTRAINTS: of all, or of those given. What stays immediate from here on is looked at first: 23503 changes nothing. */
  async set(isDeferred: boolean, of: readonly { tableId: number; foreignKeyId: number }[] | undefined): Promise<void> {
    const names = of && new Set(of.map(({ tableId, foreignKeyId }) => nameOf(tableId, foreignKeyId)));
    if (!isDeferred) await this.settle((name) => names?.has(name) !== false);
    if (names) for (const name of names) this.#ofOne.set(name, isDeferred);
    else {
      this.#ofAll = isDeferred;
      this.#ofOne.clear();
    }
  }

  note(
    table: TableDescriptor,
    fk: ForeignKeyDescriptor,
    keys: readonly DanglingKey[],
    look: (dangling: readonly DanglingKeys[]) => Promise<void>,
  ): void {
    if (keys.length === 0) return;
    this.#look = look;
    const name = nameOf(table.id, fk.id);
    const noted = this.#noted.get(name);
    if (noted) noted.keys = [...noted.keys, ...keys];
    else this.#noted.set(name, { tableId: table.id, foreignKeyId: fk.id, keys: [...keys] });
  }

  get isEmpty(): boolean {
    return this.#noted.size === 0;
  }

  /** Looks at what is noted, all of it or some, and forgets it. 23503 for the first key that dangles. */
  async settle(isWanted: (name: string) => boolean = () => true): Promise<void> {
    const wanted = [...this.#noted].filter(([name]) => isWanted(name));
    if (wanted.length === 0) return;
    await this.#look?.(wanted.map(([, noted]) => noted));
    for (const [name] of wanted) this.#noted.delete(name);
  }

  /** The transaction begins again. */
  clear(): void {
    this.#noted.clear();
    this.#ofOne.clear();
    this.#ofAll = undefined;
  }
}
