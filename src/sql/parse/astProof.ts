/** The syntax tree of statements that prove and query backups in place. See ast.ts for the rules every node follows. */
import type { AsOfClause, Name, ObjectName, Option } from './astCore.ts';
import type { Restore } from './astStatements.ts';

declare module './astCore.ts' {
  interface Statements {
    verifyBackup: VerifyBackup;
    attachBackup: AttachBackup;
    detachBackup: DetachBackup;
    showAttachedBackups: ShowAttachedBackups;
    showFingerprints: ShowFingerprints;
  }
}

/** A backup of a collection: the newest, or the one of that name. */
export type CollectionBackup = Exclude<Restore['source'], { readonly type: 'layers' }>;

export interface VerifyBackup {
  readonly kind: 'verifyBackup';
  readonly source: Restore['source'];
  readonly asOf: AsOfClause | undefined;
  readonly options: readonly Option[];
  readonly pos: number;
}

export interface AttachBackup {
  readonly kind: 'attachBackup';
  readonly source: Restore['source'];
  readonly asOf: AsOfClause | undefined;
  /** The backup's database; needed where it holds several. */
  readonly database: Name | undefined;
  /** What it is called here. */
  readonly name: Name;
  readonly options: readonly Option[];
  readonly pos: number;
}

export interface DetachBackup {
  readonly kind: 'detachBackup';
  readonly name: Name;
  readonly pos: number;
}

export interface ShowAttachedBackups {
  readonly kind: 'showAttachedBackups';
  readonly pos: number;
}

/** SHOW EXPERIMENTAL_FINGERPRINTS FROM TABLE. */
export interface ShowFingerprints {
  readonly kind: 'showFingerprints';
  readonly table: ObjectName;
  readonly asOf: AsOfClause | undefined;
  readonly pos: number;
}
