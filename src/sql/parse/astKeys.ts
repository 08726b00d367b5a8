/** The syntax tree of ALTER BACKUP. See ast.ts for the rules every node follows. */
import type { CollectionBackup } from './astProof.ts';
import type { UriList } from './astStatements.ts';

declare module './astCore.ts' {
  interface Statements {
    alterBackup: AlterBackup;
  }
}

/** ALTER BACKUP ... ADD NEW_KMS = ... WITH OLD_KMS = ... */
export interface AlterBackup {
  readonly kind: 'alterBackup';
  /** `uri`: the location of a full by itself. */
  readonly source: CollectionBackup | { readonly type: 'uri'; readonly uris: UriList };
  readonly newKms: UriList;
  readonly oldKms: UriList;
  readonly pos: number;
}
