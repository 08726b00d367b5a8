/** The syntax tree of statements that shorten chains of backups and let old ones go. See ast.ts for the rules every node follows. */
import type { Expr, Option } from './astCore.ts';
import type { CollectionBackup } from './astProof.ts';
import type { UriList } from './astStatements.ts';

declare module './astCore.ts' {
  interface Statements {
    compactBackup: CompactBackup;
    deleteBackup: DeleteBackup;
    expireBackups: ExpireBackups;
  }
}

export interface CompactBackup {
  readonly kind: 'compactBackup';
  readonly source: CollectionBackup;
  /** Where the merged layers begin and end; undefined: with the full, with the newest layer. */
  readonly from: Expr | undefined;
  readonly to: Expr | undefined;
  readonly options: readonly Option[];
  readonly pos: number;
}

export interface DeleteBackup {
  readonly kind: 'deleteBackup';
  readonly source: CollectionBackup;
  readonly options: readonly Option[];
  readonly pos: number;
}

/** KEEP '7 days', or KEEP 4 FULLS. */
export interface KeepRule {
  readonly unit: 'age' | 'fulls';
  readonly value: Expr;
}

export interface ExpireBackups {
  readonly kind: 'expireBackups';
  readonly uris: UriList;
  /** Not empty. What any of them keeps is kept. */
  readonly keep: readonly KeepRule[];
  readonly options: readonly Option[];
  readonly pos: number;
}
