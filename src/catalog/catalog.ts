/**
 * Catalog: what databases, tables and names there are, at any time that can be read.
 *
 * The truth is the rows of system.descriptor and system.namespace. This class keeps their recent
 * contents in memory: a commit hook makes each commit's content from the one before, inside the
 * commit step, so a snapshot costs a look at a short list and never waits.
 *
 *   C1  a snapshot for a read timestamp T shows exactly the rows visible at T
 *   C2  a transaction that changed the catalog sees its own changes: the rows it touched are read
 *       back through it, which honours its savepoints
 *   C3  what a plan looked up goes into the transaction's read set (noteReads), so a schema change
 *       that commits in between makes the commit fail with 40001 and never be wrong
 *
 * Older times than the list reaches are read from the rows, and a few of those are kept.
 * Lives elsewhere: resolving names (snapshot.ts), rules of a descriptor (validate.ts), zones and
 * settings (zones.ts, settings.ts), first contents (bootstrap.ts).
 */
import { assert } from '../base/assert.ts';
import type { Bytes } from '../base/bytes.ts';
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';
import { MIN_TIMESTAMP, type Timestamp } from '../base/timestamp.ts';
import type { CommittedWrites, Kv, KvReader, Txn } from '../kv/kv.ts';

import { AttachedDatabases, checkNotAttached } from './attached.ts';
import { Content, DESCRIPTOR_SPAN, descriptorIdOf, descriptorKey, NAMESPACE_SPAN, namespaceKey } from './catalogContent.ts';
import { type DatabaseDescriptor, type Descriptor, PUBLIC_SCHEMA_ID, SYSTEM_DATABASE_ID } from './descriptor.ts';
import { encodeDescriptor } from './descriptorCodec.ts';
import { ownerPrivileges } from './privileges.ts';
import { newDatabasePrivileges } from './publicSchema.ts';
import { overlayPasts } from './restoredPast.ts';
import { advanceCounter, raiseCounter } from './sequences.ts';
import { type CatalogDependencies, CatalogSnapshot } from './snapshot.ts';
import { systemTable } from './systemRows.ts';
import { DESCRIPTOR_ID_SEQUENCE_ID } from './systemTables.ts';
import { validateDescriptor } from './validate.ts';

export { CatalogSnapshot } from './snapshot.ts';
export type { CatalogDependencies, NameContext, ResolvedObject, ResolvedSchema } from './snapshot.ts';

/** Content as of commits in [from, the next state's from). */
interface State {
  readonly from: Timestamp;
  readonly content: Content;
}

const keysOfDependencies = new WeakMap<CatalogDependencies, { readonly count: number; readonly keys: readonly Bytes[] }>();

/** The rows behind look-ups; made once for a plan, which runs many times. */
function keysBehind(dependencies: CatalogDependencies): readonly Bytes[] {
  const { ids, names } = dependencies;
  const count = ids.size + names.size;
  let known = keysOfDependencies.get(dependencies);
  if (known?.count !== count) {
    const keys = [...ids].map(descriptorKey);
    for (const { parentId, schemaId, name } of names.values()) keys.push(namespaceKey(parentId, schemaId, name));
    known = { count, keys };
    keysOfDependencies.set(dependencies, known);
  }
  return known.keys;
}

/** How many recent contents are kept; a content shares its entries with its neighbours. */
const STATES_MAX = 64;
const NO_ROWS = Object.freeze({ keys: [], values: [], timestamps: MIN_TIMESTAMP });
const HISTORIC_MAX = 16;

/** The descriptors of a commit as they were and as they are; undefined while the catalog is not loaded. */
export type CatalogChange = readonly { readonly before: Descriptor | undefined; readonly after: Descriptor | undefined }[] | undefined;

/** What a transaction has written of the catalog. */
interface OwnRows {
  readonly keys: Set<Bytes>;
  /** Written since `content` was made. */
  readonly unseen: Set<Bytes>;
  /** The committed content with the rows over it, as of so many undone writes. */
  base: Content | undefined;
  content: Content | undefined;
  undoCount: number;
}

export class Catalog {
  readonly kv: Kv;
  /** Ascending; the last one is current. Empty until first loaded. */
  #states: State[] = [];
  #loading: Promise<void> | undefined;
  /** Commits that arrive while the first content is being read. */
  #pending: { writes: CommittedWrites; at: Timestamp }[] = [];
  readonly #historic = new Map<Timestamp, Content>();
  readonly #own = new WeakMap<KvReader, OwnRows>();
  readonly #removeHooks: (() => void)[];
  readonly #listeners = new Set<(change: CatalogChange) => void>();
  readonly #listenersBefore = new Set<(change: CatalogChange) => void>();
  #versions = 0;
  #ownVersions = 0;
  /** Databases that are read from elsewhere. Snapshots have them only where withAttached() puts them in. */
  readonly attached: AttachedDatabases = new AttachedDatabases(() => this.#renumber());

  constructor(kv: Kv) {
    this.kv = kv;
    const apply = (writes: CommittedWrites, at: Timestamp) => this.#applyCommit(writes, at);
    this.#removeHooks = [kv.addCommitHook(DESCRIPTOR_SPAN, { apply }), kv.addCommitHook(NAMESPACE_SPAN, { apply })];
  }

  /** Stops listening to commits. */
  close(): void {
    for (const remove of this.#removeHooks) remove();
    this.#listeners.clear();
    this.#listenersBefore.clear();
  }

  /** Called inside the commit step before a change becomes visible. Returns the function that removes it. */
  onBeforeChange(listener: (change: CatalogChange) => void): () => void {
    this.#listenersBefore.add(listener);
    return () => this.#listenersBefore.delete(listener);
  }

  /** Called inside the commit step after each change of the catalog. Returns the function that removes it. */
  onChange(listener: (change: CatalogChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A catalog for a fork of `kv`, with this one's contents. */
  fork(kv: Kv): Catalog {
    const fork = new Catalog(kv);
    fork.#states = [...this.#states];
    fork.#versions = this.#versions;
    return fork;
  }

  /** The newest committed content; loads it the first time. */
  async current(): Promise<CatalogSnapshot> {
    await this.#load();
    return this.currentNow() as CatalogSnapshot;
  }

  /** As current, without waiting: undefined before the first load. */
  currentNow(): CatalogSnapshot | undefined {
    const last = this.#states.at(-1);
    return last && new CatalogSnapshot(last.content, this.kv.reading());
  }

  /**
   * The catalog as a reader sees it: at its read timestamp, a transaction's own changes included.
   * Usually from memory; the rows are read for times before the catalog was first loaded.
   */
  async snapshot(reader: KvReader | Txn): Promise<CatalogSnapshot> {
    const at = reader.readTimestamp;
    // A historical time may have a commit under way below it: a read at that time waits for it, and
    // keeps later ones above. Whether the time is still kept is for the reads of the data to say.
    if (!isTxn(reader)) await this.kv.at(at, { unchecked: true }).get([descriptorKey(SYSTEM_DATABASE_ID)]);
    const content = this.#recent(at) ?? (await this.#older(at));
    const own = isTxn(reader) ? this.#own.get(reader) : undefined;
    return new CatalogSnapshot(own ? await this.#withOwn(content, own, reader as Txn) : content, at);
  }

  /** A content with a transaction's own rows over it. Cost: the rows it has written since the last time. */
  async #withOwn(base: Content, own: OwnRows, txn: Txn): Promise<Content> {
    const { undoCount } = txn;
    const isGrown = own.base === base && own.undoCount === undoCount;
    const keys = [...(isGrown ? own.unseen : own.keys)];
    if (own.content && isGrown && keys.length === 0) return own.content;
    own.unseen.clear();
    own.base = undefined;
    const values = await txn.get(keys);
    const rows = { keys, values: values.map((value) => value ?? null), timestamps: MIN_TIMESTAMP };
    own.content = ((isGrown && own.content) || base).applied(--this.#ownVersions, rows);
    own.base = base;
    own.undoCount = undoCount;
    return own.content;
  }

  /** As snapshot for a transaction, when nothing has to be waited for: no own changes, and a recent time. Undefined otherwise. */
  snapshotNow(reader: KvReader | Txn): CatalogSnapshot | undefined {
    if (!isTxn(reader) || this.#own.has(reader)) return undefined;
    const content = this.#recent(reader.readTimestamp);
    return content && new CatalogSnapshot(content, reader.readTimestamp);
  }

  /** What a statement sees: a snapshot of its reader with the attached databases beside the stored ones. */
  withAttached(snapshot: CatalogSnapshot): CatalogSnapshot {
    return this.attached.isEmpty ? snapshot : snapshot.overlaid((content) => this.attached.overlay(content, snapshot.timestamp));
  }

  /** What a statement that reads history sees: also the restored tables of today whose past holds its time (restoredPast.ts). */
  withPasts(snapshot: CatalogSnapshot, reader: KvReader | Txn): CatalogSnapshot {
    const today = this.#states.at(-1)?.content;
    return today === undefined || isTxn(reader)
      ? snapshot
      : snapshot.overlaid((content) => overlayPasts(content, today, snapshot.timestamp));
  }

  /** The version of the content that snapshotNow() shows, or without a reader currentNow(). */
  versionNow(reader?: KvReader | Txn): number | undefined {
    if (reader === undefined) return this.#states.at(-1)?.content.version;
    if (!isTxn(reader) || this.#own.has(reader) || !this.attached.isPresentAt(reader.readTimestamp)) return undefined;
    return this.#recent(reader.readTimestamp)?.version;
  }

  /** Adds the rows behind the look-ups to the transaction's read set. Call it in each transaction that uses the plan. */
  noteReads(txn: Txn, dependencies: CatalogDependencies): void {
    for (const key of keysBehind(dependencies)) txn.noteRead(key);
  }

  /** As noteReads, for what stands on all descriptors and names: a list of tables, a backup of a database. */
  noteAllReads(txn: Txn): void {
    txn.noteReadSpan(DESCRIPTOR_SPAN);
    txn.noteReadSpan(NAMESPACE_SPAN);
  }

  /** Takes the locks of descriptors and names that are about to change, so that schema changes queue instead of failing. */
  async lock(txn: Txn, ids: readonly number[], names: readonly { parentId: number; schemaId: number; name: string }[] = []): Promise<void> {
    const keys = [...ids.map(descriptorKey), ...names.map((n) => namespaceKey(n.parentId, n.schemaId, n.name))];
    await txn.lock(keys.sort());
  }

  /** Takes one descriptor's lock if nobody has it. */
  async tryLock(txn: Txn, id: number): Promise<boolean> {
    return (await txn.lock([descriptorKey(id)], { wait: 'skip' })).length > 0;
  }

  /** Consecutive ids never used before; not undone by a rollback. Returns the first. */
  async allocateIds(count: number): Promise<number> {
    assert(count > 0, `cannot allocate ${count} ids`);
    const next = await this.kv.run((txn) => advanceCounter(txn, DESCRIPTOR_ID_SEQUENCE_ID, count), { name: 'allocate ids' });
    return next - count;
  }

  /** Takes all ids up to `last` out of circulation. Returns the first of those that had never been handed out: it and those after it are the caller's. */
  async takeIdsUpTo(last: number): Promise<number> {
    return await this.kv.run((txn) => raiseCounter(txn, DESCRIPTOR_ID_SEQUENCE_ID, last + 1), { name: 'take ids' });
  }

  /**
   * Writes a descriptor as the next version of its row: its `version` is set to one above the
   * committed one (1 when new), however often the transaction writes it. Returns it as written.
   * Throws XX000 when the descriptor breaks a rule.
   */
  writeDescriptor<D extends Descriptor>(txn: Txn, descriptor: D): D {
    checkNotAttached(descriptor.id, descriptor.parentId);
    const committed = this.#recent(txn.readTimestamp)?.descriptorOf(descriptor.id);
    const version = committed ? committed.version + 1 : descriptor.version;
    const next = { ...descriptor, version, modificationTime: MIN_TIMESTAMP };
    const problems = validateDescriptor(next);
    assert(problems.length === 0, `descriptor "${next.name}" (${next.id}): ${problems.join('; ')}`);
    systemTable('descriptor').put(txn, { id: next.id, descriptor: encodeDescriptor(next) });
    this.#noteOwn(txn, descriptorKey(next.id));
    return next;
  }

  /** Removes the descriptor row; the name and the data are the caller's. */
  deleteDescriptor(txn: Txn, id: number): void {
    checkNotAttached(id);
    const key = descriptorKey(id);
    txn.write([key], [null]);
    this.#noteOwn(txn, key);
  }

  /** Makes a name stand for an id. That the name is free is for the caller to check, in a tracked snapshot of the same transaction. */
  writeName(txn: Txn, parentId: number, schemaId: number, name: string, id: number): void {
    checkNotAttached(parentId, id);
    if (parentId === 0 && this.attached.get(name)) {
      throw new StatementError(SqlState.DuplicateDatabase, `database "${name}" already exists`, {
        detail: 'an attached backup has that name',
        hint: 'DETACH BACKUP, or take another name',
      });
    }
    systemTable('namespace').put(txn, { parentID: parentId, parentSchemaID: schemaId, name, id });
    this.#noteOwn(txn, namespaceKey(parentId, schemaId, name));
  }

  deleteName(txn: Txn, parentId: number, schemaId: number, name: string): void {
    checkNotAttached(parentId);
    const key = namespaceKey(parentId, schemaId, name);
    txn.write([key], [null]);
    this.#noteOwn(txn, key);
  }

  /** Gives an object another name (and schema): the old name goes, the new one stands for it. */
  renameName(txn: Txn, from: { parentId: number; schemaId: number; name: string }, to: typeof from, id: number): void {
    this.deleteName(txn, from.parentId, from.schemaId, from.name);
    this.writeName(txn, to.parentId, to.schemaId, to.name, id);
  }

  /** Writes a new database and its names. Throws 42P04 when the name is taken. */
  async createDatabase(
    txn: Txn,
    options: { name: string; owner: string; id?: number; ownPublicSchema?: boolean },
  ): Promise<DatabaseDescriptor> {
    await this.lock(txn, [], [{ parentId: 0, schemaId: 0, name: options.name }]);
    const snapshot = (await this.snapshot(txn)).tracked();
    const taken = snapshot.lookup(0, 0, options.name) !== undefined;
    this.noteReads(txn, snapshot.dependencies);
    if (taken) throw new StatementError(SqlState.DuplicateDatabase, `database "${options.name}" already exists`);
    const id = options.id ?? (await this.allocateIds(1));
    const made = newDatabase(id, options.name, options.owner);
    const database = this.writeDescriptor(txn, options.ownPublicSchema ? { ...made, ...newDatabasePrivileges(options.owner) } : made);
    this.writeName(txn, 0, 0, options.name, id);
    this.writeName(txn, id, 0, 'public', PUBLIC_SCHEMA_ID);
    return database;
  }

  /** Gives every content a new version: what was planned on it before is not what names mean now. */
  #renumber(): void {
    this.#states = this.#states.map(({ from, content }) => ({ from, content: content.applied(++this.#versions, NO_ROWS) }));
  }

  #noteOwn(txn: Txn, key: Bytes): void {
    let own = this.#own.get(txn);
    if (!own) {
      own = { keys: new Set(), unseen: new Set(), base: undefined, content: undefined, undoCount: 0 };
      this.#own.set(txn, own);
    }
    own.keys.add(key);
    own.unseen.add(key);
  }

  #recent(at: Timestamp): Content | undefined {
    for (let i = this.#states.length - 1; i >= 0; i--) {
      const state = this.#states[i] as State;
      if (state.from <= at) return state.content;
    }
    return undefined;
  }

  async #older(at: Timestamp): Promise<Content> {
    await this.#load();
    const recent = this.#recent(at) ?? this.#historic.get(at);
    if (recent) return recent;
    const content = await this.#read(at);
    if (this.#historic.size >= HISTORIC_MAX) this.#historic.delete(this.#historic.keys().next().value as Timestamp);
    this.#historic.set(at, content);
    return content;
  }

  async #read(at: Timestamp): Promise<Content> {
    const reader = this.kv.at(at);
    let content = Content.empty(++this.#versions);
    for (const span of [DESCRIPTOR_SPAN, NAMESPACE_SPAN]) content = content.applied(content.version, await reader.scan(span));
    return content;
  }

  #load(): Promise<void> {
    if (this.#states.length > 0) return Promise.resolve();
    this.#loading ??= this.#loadFirst().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #loadFirst(): Promise<void> {
    // The hooks collect what commits from here on; what the read at `from` has seen already is left out.
    this.#pending = [];
    const from = this.kv.reading();
    const content = await this.#read(from);
    const pending = this.#pending;
    this.#pending = [];
    this.#states = [{ from, content }];
    for (const { writes, at } of pending) if (at > from) this.#applyCommit(writes, at);
  }

  #applyCommit(writes: CommittedWrites, at: Timestamp): void {
    const last = this.#states.at(-1);
    const content = last?.content.applied(++this.#versions, { ...writes, timestamps: at });
    const change = changeBetween(writes, last?.content, content);
    for (const listener of this.#listenersBefore) listener(change);
    if (last === undefined || content === undefined) {
      if (this.#loading) this.#pending.push({ writes, at });
    } else {
      // kv applies commits in the order of their timestamps, large ones too.
      assert(at >= last.from, `commit at ${at} after one at ${last.from}`);
      // Both hooks run for one commit; it makes one state.
      if (last.from === at) this.#states.pop();
      this.#states.push({ from: at, content });
      if (this.#states.length > STATES_MAX) this.#states.shift();
    }
    for (const listener of this.#listeners) listener(change);
  }
}

function changeBetween({ keys }: CommittedWrites, before: Content | undefined, after: Content | undefined): CatalogChange {
  if (!before || !after) return undefined;
  return keys.flatMap((key) => {
    const id = descriptorIdOf(key);
    return id === undefined ? [] : [{ before: before.descriptorOf(id), after: after.descriptorOf(id) }];
  });
}

function isTxn(reader: KvReader | Txn): reader is Txn {
  return 'commit' in reader;
}

export function newDatabase(id: number, name: string, owner: string): DatabaseDescriptor {
  return {
    kind: 'database',
    id,
    name,
    parentId: 0,
    version: 1,
    modificationTime: MIN_TIMESTAMP,
    state: 'PUBLIC',
    privileges: ownerPrivileges(owner),
  };
}
