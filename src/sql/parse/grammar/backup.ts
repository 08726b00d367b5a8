/**
 * BACKUP, RESTORE, SHOW BACKUPS, SHOW BACKUP: the collection forms and the older ones that name
 * every layer. Options are kept as names and values; what they mean, and which fit together, is
 * decided where the statements are planned. VERIFY, ATTACH and DETACH BACKUP besides,
 * COMPACT and DELETE BACKUP, and EXPIRE BACKUPS.
 */
import type {
  AlterBackup,
  AttachBackup,
  Backup,
  BackupTargets,
  CollectionBackup,
  CompactBackup,
  DeleteBackup,
  ExpireBackups,
  Expr,
  KeepRule,
  Restore,
  ShowBackup,
  Statement,
  UriList,
  VerifyBackup,
} from '../ast.ts';
import { T } from '../tokens.ts';
import { BackupPartsParser } from './backupParts.ts';

export class BackupParser extends BackupPartsParser {
  readonly statement = this.rule('backupFamily', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [T.BACKUP, () => this.backup(pos)],
      [T.RESTORE, () => this.restore(pos)],
      [[T.EXPORT, T.INTO], () => this.exportInto(pos)],
      [[T.IMPORT, T.INTO], () => this.importInto(pos)],
      [T.IMPORT, () => this.refuse('IMPORT of schemas', 'CREATE TABLE, then IMPORT INTO; a dump loads through psql') as never],
      [[T.SHOW, T.BACKUPS, T.IN], () => this.showBackups(pos)],
      [[T.SHOW, T.BACKUP], () => this.showBackup(pos)],
      [[T.SHOW, T.ATTACHED, T.BACKUPS], () => ({ kind: 'showAttachedBackups', pos })],
      [[T.VERIFY, T.BACKUP, T.FROM], () => this.verifyBackup(pos)],
      [[T.ATTACH, T.BACKUP, T.FROM], () => this.attachBackup(pos)],
      [[T.ALTER, T.BACKUP], () => this.alterBackup(pos)],
      [[T.COMPACT, T.BACKUP], () => this.compactBackup(pos)],
      [[T.DELETE, T.BACKUP], () => this.deleteBackup(pos)],
      [[T.EXPIRE, T.BACKUPS, T.IN], () => this.expireBackups(pos)],
      [[T.DETACH, T.BACKUP], () => ({ kind: 'detachBackup', name: this.name(), pos })],
    ]);
  });

  // ---- EXPORT and IMPORT --------------------------------------------------------------------------

  private exportInto(pos: number): Statement {
    const format = this.label().text.toUpperCase();
    const location = this.location();
    const options = this.options();
    this.tok(T.FROM);
    return { kind: 'exportInto', format, location, options, query: this.query(), pos };
  }

  private importInto(pos: number): Statement {
    const table = this.objectName();
    const columns = this.optionalParenList(() => this.name());
    const format = this.label().text.toUpperCase();
    this.tok(T.DATA);
    const files = this.parens(() => this.list(() => this.location()));
    return { kind: 'importInto', table, columns, format, files, options: this.options(), pos };
  }

  // ---- BACKUP -------------------------------------------------------------------------------------

  private backup(pos: number): Backup {
    const targets = this.targets([T.INTO, T.TO]);
    if (targets.type === 'systemUsers' && this.recorder === undefined) throw this.c.error(this.c.peek(-1));
    return this.choose<Backup>([
      [T.INTO, () => this.backupInto(targets, pos)],
      [T.TO, () => this.backupTo(targets, pos)],
    ]);
  }

  private backupInto(targets: BackupTargets, pos: number): Backup {
    const destination = this.choose<Backup['destination']>([[[T.LATEST, T.IN], () => ({ type: 'intoLatest', uris: this.uris() })]], () => {
      const uris = this.uris();
      const collection = this.when(T.IN, () => this.uris());
      if (collection === undefined) return { type: 'into', uris };
      return { type: 'intoSubdir', subdir: this.onlyOne(uris), uris: collection };
    });
    const asOf = this.asOf();
    return { kind: 'backup', targets, destination, asOf, options: this.wordOptions(), pos };
  }

  /** The subdirectory before IN: one location, no list. */
  private onlyOne(uris: UriList): Expr {
    if (this.recorder !== undefined) return { kind: 'null', pos: 0 };
    if (uris.length !== 1) throw this.c.errorSaying('one subdirectory is expected before IN');
    return uris[0] as Expr;
  }

  private backupTo(targets: BackupTargets, pos: number): Backup {
    const uris = this.uris();
    let asOf = this.asOf();
    const incrementalFrom = this.when([T.INCREMENTAL, T.FROM], () => this.list(() => this.location())) ?? [];
    asOf ??= this.asOf();
    return { kind: 'backup', targets, destination: { type: 'to', uris, incrementalFrom }, asOf, options: this.listedOptions(), pos };
  }

  // ---- RESTORE ------------------------------------------------------------------------------------

  private restore(pos: number): Restore {
    const targets = this.targets([T.FROM]);
    this.tok(T.FROM);
    const source = this.source();
    const asOf = this.asOf();
    const where = this.when(T.WHERE, () => this.expr());
    const isListed = this.recorder === undefined && source.type === 'layers';
    return { kind: 'restore', targets, source, asOf, where, options: isListed ? this.listedOptions() : this.wordOptions(), pos };
  }

  /** A backup of a collection, or the layers of the older statements. */
  private source(): Restore['source'] {
    return this.choose<Restore['source']>([[[T.LATEST, T.IN], () => ({ type: 'latest', uris: this.uris() })]], () => {
      const first = this.uris();
      const layers: UriList[] = [first];
      const collection = this.choose<UriList | undefined>(
        [
          [T.IN, () => this.uris()],
          [
            T.Comma,
            () => {
              layers.push(...this.list(() => this.uris()));
              return undefined;
            },
          ],
        ],
        () => undefined,
      );
      if (collection === undefined) return { type: 'layers', layers };
      return { type: 'subdir', subdir: this.onlyOne(first), uris: collection };
    });
  }

  // ---- proof, and backups in place ------------------------------------------------------------------

  private verifyBackup(pos: number): VerifyBackup {
    const source = this.source();
    const asOf = this.asOf();
    return { kind: 'verifyBackup', source, asOf, options: this.options(), pos };
  }

  private attachBackup(pos: number): AttachBackup {
    const source = this.source();
    const asOf = this.asOf();
    const database = this.when(T.DATABASE, () => this.name());
    this.tok(T.AS);
    const name = this.name();
    return { kind: 'attachBackup', source, asOf, database, name, options: this.options(), pos };
  }

  // ---- ALTER BACKUP -------------------------------------------------------------------------------

  private alterBackup(pos: number): AlterBackup {
    const source = this.choose<AlterBackup['source']>([[[T.LATEST, T.IN], () => ({ type: 'latest', uris: this.uris() })]], () => {
      const uris = this.uris();
      const collection = this.when(T.IN, () => this.uris());
      if (collection === undefined) return { type: 'uri', uris };
      return { type: 'subdir', subdir: this.onlyOne(uris), uris: collection };
    });
    this.toks(T.ADD, T.NEW_KMS, T.Equal);
    const newKms = this.uris();
    this.toks(T.WITH, T.OLD_KMS, T.Equal);
    return { kind: 'alterBackup', source, newKms, oldKms: this.uris(), pos };
  }

  // ---- COMPACT, DELETE, EXPIRE ----------------------------------------------------------------------

  private collectionBackup(): CollectionBackup {
    return this.choose<CollectionBackup>([[[T.LATEST, T.IN], () => ({ type: 'latest', uris: this.uris() })]], () => {
      const subdir = this.location();
      this.tok(T.IN);
      return { type: 'subdir', subdir, uris: this.uris() };
    });
  }

  private compactBackup(pos: number): CompactBackup {
    const source = this.collectionBackup();
    const from = this.when(T.FROM, () => this.expr());
    const to = this.when(T.TO, () => this.expr());
    return { kind: 'compactBackup', source, from, to, options: this.options(), pos };
  }

  private deleteBackup(pos: number): DeleteBackup {
    return { kind: 'deleteBackup', source: this.collectionBackup(), options: this.options(), pos };
  }

  private expireBackups(pos: number): ExpireBackups {
    const uris = this.uris();
    const keep = this.list((): KeepRule => {
      this.tok(T.KEEP);
      const value = this.expr();
      return { unit: this.has(T.FULLS) ? 'fulls' : 'age', value };
    });
    return { kind: 'expireBackups', uris, keep, options: this.options(), pos };
  }

  // ---- SHOW ---------------------------------------------------------------------------------------

  private showBackups(pos: number): Statement {
    const uris = this.uris();
    let newerThan: Expr | undefined;
    let olderThan: Expr | undefined;
    this.repeat([
      [
        T.NEWER,
        () => {
          newerThan = this.thanExpr();
        },
      ],
      [
        T.OLDER,
        () => {
          olderThan = this.thanExpr();
        },
      ],
    ]);
    return { kind: 'showBackups', uris, newerThan, olderThan, options: this.options(), pos };
  }

  /** THAN is no keyword: it means something only here. */
  private thanExpr(): Expr {
    const word = this.label();
    if (this.recorder === undefined && word.text !== 'than') throw this.c.error(this.c.peek(-1));
    return this.expr();
  }

  private showBackup(pos: number): ShowBackup {
    const view = this.choose<ShowBackup['view']>(
      [
        [T.SCHEMAS, () => 'schemas'],
        [T.FILES, () => 'files'],
        [T.RANGES, () => 'ranges'],
        [T.VALIDATE, () => 'validate'],
      ],
      () => 'default',
    );
    this.has(T.FROM);
    const source = this.choose<ShowBackup['source']>([[[T.LATEST, T.IN], () => ({ type: 'latest', uris: this.uris() })]], () => {
      const uris = this.uris();
      const collection = this.when(T.IN, () => this.uris());
      if (collection === undefined) return { type: 'uri', uris };
      return { type: 'subdir', subdir: this.onlyOne(uris), uris: collection };
    });
    return { kind: 'showBackup', view, source, options: this.options(), pos };
  }
}
