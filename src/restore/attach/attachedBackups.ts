/**
 * Attached backups: the ones of a cluster, and their statements: ATTACH BACKUP, DETACH BACKUP, SHOW ATTACHED BACKUPS.
 *
 * An attached backup is a read-only database that all sessions see, until it is detached or the process
 * ends. It is no part of the cluster's data: neither backed up nor forked with it.
 */
import { utf8Encode } from '../../base/bytes.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { formatUtc } from '../../base/timestamp.ts';
import type { Catalog, CatalogSnapshot } from '../../catalog/catalog.ts';
import type { DatabaseDescriptor } from '../../catalog/descriptor.ts';
import { SYSTEM_DATABASE_ID } from '../../catalog/descriptor.ts';
import { hasSystemPrivilege } from '../../catalog/globalPrivileges.ts';
import { quoteName } from '../../catalog/names.ts';
import { isAdmin } from '../../catalog/privileges.ts';
import { Type } from '../../catalog/type.ts';
import type { Kv } from '../../kv/kv.ts';
import type { HookResult, ResultColumn, StatementContext, StatementHook, StatementHooks } from '../../sql/exec/statement.ts';
import type { AttachBackup, DetachBackup, ShowAttachedBackups } from '../../sql/parse/ast.ts';
import type { StorageFactory } from '../../storage/externalStorage.ts';

import { backupSnapshot } from '../../backup/backupCatalog.ts';
import type { ChosenLayers } from '../../backup/chain.ts';
import { type CollectionStorage, openCollection } from '../../backup/collectionStorage.ts';
import { proveCoverage } from '../../backup/coverage.ts';
import type { Layer } from '../../backup/manifest.ts';
import { granteesOf } from '../../backup/statementValues.ts';
import { loadSource, readCollectionSource } from '../collectionSource.ts';
import { chainUsesOf } from '../retention/chainUses.ts';
import { AttachedBackup } from './attachedBackup.ts';
import { BlockCache } from './blockCache.ts';

export interface AttachDeps {
  readonly kv: Kv;
  readonly catalog: Catalog;
  readonly storage: StorageFactory;
  readonly engine: { readonly statements: StatementHooks };
}

interface Attachment {
  readonly backup: AttachedBackup;
  readonly storage: CollectionStorage;
  readonly database: string;
  readonly full: string;
  readonly owner: string;
  /** Lets the chain be deleted again. */
  readonly release: () => void;
}

/** Decoded blocks of one attached backup at most, and of a small memory budget this share. */
const CACHE_BYTES_MAX = 64 << 20;
const CACHE_SHARE = 1 / 16;

const COLUMNS: readonly ResultColumn[] = [
  { name: 'name', type: Type.String },
  { name: 'database_name', type: Type.String },
  { name: 'collection', type: Type.String },
  { name: 'path', type: Type.String },
  { name: 'as_of', type: Type.Timestamp },
  { name: 'attached_at', type: Type.Timestamp },
  { name: 'owner', type: Type.String },
  { name: 'cached_bytes', type: Type.Int8 },
  { name: 'blocks_read', type: Type.Int8 },
];

export class AttachedBackups {
  readonly #deps: AttachDeps;
  readonly #attachments = new Map<string, Attachment & { readonly cache: BlockCache }>();

  constructor(deps: AttachDeps) {
    this.#deps = deps;
    const { statements } = deps.engine;
    statements.register<AttachBackup>('attachBackup', this.#attachHook());
    statements.register<DetachBackup>('detachBackup', this.#detachHook());
    statements.register<ShowAttachedBackups>('showAttachedBackups', this.#showHook());
  }

  /** Detaches everything. */
  async close(): Promise<void> {
    for (const name of [...this.#attachments.keys()]) await this.#detach(name);
  }

  #attachHook(): StatementHook<AttachBackup> {
    return { columns: () => undefined, run: (context, stmt) => this.#attach(context, stmt), ownTransaction: true, isReadOnly: true };
  }

  #detachHook(): StatementHook<DetachBackup> {
    return {
      columns: () => undefined,
      run: async (context, { name: { text: name } }): Promise<HookResult> => {
        const attachment = this.#attachments.get(name);
        if (attachment === undefined) {
          throw new StatementError(SqlState.InvalidCatalogName, `there is no attached backup "${name}"`, {
            hint: 'SHOW ATTACHED BACKUPS lists them',
          });
        }
        await this.#checkOwner(context, attachment, name);
        await this.#detach(name);
        return { tag: 'DETACH BACKUP' };
      },
      ownTransaction: true,
      isReadOnly: true,
    };
  }

  #showHook(): StatementHook<ShowAttachedBackups> {
    return {
      columns: () => COLUMNS,
      run: async () => {
        const rows = [...this.#attachments].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, attachment]) => this.#row(name, attachment));
        return { tag: `SHOW ATTACHED BACKUPS ${rows.length}`, rows, rowCount: rows.length };
      },
      isReadOnly: true,
    };
  }

  #row(name: string, { backup, storage, database, full, owner, cache }: Attachment & { readonly cache: BlockCache }) {
    const texts = [name, database, String(storage.uri), `/${full}`].map((text) => utf8Encode(text));
    return [...texts, backup.time, backup.attachedAt, utf8Encode(owner), cache.bytes, cache.readCount];
  }

  async #checkOwner(context: StatementContext, { owner }: Attachment, name: string): Promise<void> {
    const roles = await context.roles();
    if (isAdmin(roles) || roles.has(owner)) return;
    throw new StatementError(SqlState.InsufficientPrivilege, `must be owner of attached backup ${name}`);
  }

  async #attach(context: StatementContext, stmt: AttachBackup): Promise<HookResult> {
    const { name } = stmt;
    await this.#checkPrivileges(context);
    const source = await readCollectionSource('ATTACH BACKUP', this.#deps, context, stmt);
    const { location } = source;
    await this.#checkName(name.text);
    const storage = openCollection(this.#deps.storage, location, { user: context.user, nodeId: context.session.nodeId });
    try {
      const { chain, full, choose } = await loadSource(storage, source, context);
      const chosen = choose();
      proveCoverage(chosen.layers);
      const database = findDatabase(chosen, stmt.database?.text);
      // Somebody else may have come first, while the chain was read.
      await this.#checkName(name.text);
      const { kv, catalog } = this.#deps;
      const cache = new BlockCache(Math.min(CACHE_BYTES_MAX, kv.memory.figures().limitBytes * CACHE_SHARE), kv.memory.hold('results'));
      const backup = new AttachedBackup({
        chain,
        storage,
        executor: kv.executor,
        cache,
        time: chosen.time,
        attachedAt: kv.hlc.now(),
        name: name.text,
        database,
        owner: context.user,
        mounts: kv.mounts,
        sameTypes: sameTypesOf(chosen, database, await catalog.current()),
      });
      catalog.attached.add(backup);
      const release = chainUsesOf(this.#deps.storage).hold(location, full, `attached backup ${quoteName(name.text)}`);
      this.#attachments.set(name.text, { backup, storage, cache, database: database.name, full, owner: context.user, release });
      return { tag: 'ATTACH BACKUP' };
    } catch (error) {
      await storage.close();
      throw error;
    }
  }

  async #detach(name: string): Promise<void> {
    const attachment = this.#attachments.get(name);
    if (attachment === undefined) return;
    this.#attachments.delete(name);
    this.#deps.catalog.attached.remove(name);
    attachment.backup.detach();
    attachment.release();
    await attachment.storage.close();
  }

  async #checkPrivileges(context: StatementContext): Promise<void> {
    const grantees = await granteesOf(context);
    if (isAdmin(grantees) || (await hasSystemPrivilege(context.txn, grantees, 'RESTORE'))) return;
    throw new StatementError(
      SqlState.InsufficientPrivilege,
      'only users with the admin role or the RESTORE system privilege can attach backups',
      { detail: `user ${context.user} has neither` },
    );
  }

  async #checkName(name: string): Promise<void> {
    const { catalog } = this.#deps;
    const snapshot = catalog.withAttached(await catalog.current());
    if (snapshot.lookup(0, 0, name) === undefined) return;
    throw new StatementError(SqlState.DuplicateDatabase, `database "${name}" already exists`, {
      hint: `ATTACH BACKUP ... AS another name${this.#attachments.has(name) ? ', or DETACH BACKUP first' : ''}`,
    });
  }
}

/** The backup's types that are here under their full names, with the same labels stored in the same way. */
function sameTypesOf({ layers, time }: ChosenLayers, database: DatabaseDescriptor, here: CatalogSnapshot): Map<number, number> {
  const backup = backupSnapshot((layers.at(-1) as Layer).manifest, time);
  const same = new Map<number, number>();
  // Texts of views name the backup's own.
  const inViews = new Set(backup.tablesOf(database.id).flatMap(({ view }) => view?.typeIds ?? []));
  for (const type of backup.typesOf(database.id)) {
    if (inViews.has(type.id)) continue;
    const found = here.resolveType(backup.fullName(type), { currentDatabase: '', searchPath: [] })?.descriptor;
    const isSame = found?.members.join('\n') === type.members.join('\n') && found.physical.join('\n') === type.physical.join('\n');
    if (found && isSame) same.set(type.id, found.id);
  }
  return same;
}

/** The database that is meant: the named one, or the only one. 3D000 for one that the backup does not hold, 22023 where it must be named. */
function findDatabase({ layers, time }: ChosenLayers, name: string | undefined): DatabaseDescriptor {
  const { manifest } = layers.at(-1) as Layer;
  const databases = backupSnapshot(manifest, time)
    .allDatabases()
    .filter(({ id }) => id !== SYSTEM_DATABASE_ID);
  const detail = `at ${formatUtc(time)} it holds ${databases.map((database) => quoteName(database.name)).join(', ') || 'none'}`;
  const found = name === undefined ? databases[0] : databases.find((database) => database.name === name);
  if (found === undefined) {
    throw new StatementError(SqlState.InvalidCatalogName, `the backup holds no database${name === undefined ? '' : ` "${name}"`}`, {
      detail,
    });
  }
  if (name !== undefined || databases.length === 1) return found;
  throw new StatementError(SqlState.InvalidParameterValue, 'the backup holds several databases: name the one to attach', {
    detail,
    hint: `ATTACH BACKUP FROM ... DATABASE ${quoteName(found.name)} AS ...`,
  });
}
