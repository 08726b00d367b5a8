/** What a caller may ask of the printer. */
import type { Expr } from '../ast.ts';

export interface PrintOptions {
  /** Consulted for every expression first: a text stands for it. Fills placeholders, hides constants. */
  readonly replace?: (expr: Expr) => string | undefined;
  /** What is shown of a storage URI in BACKUP, RESTORE and SHOW BACKUP. Default: the URI as it is. */
  readonly redactUri?: (uri: string) => string;
  /** Prints passphrases and passwords instead of `*****`. */
  readonly showSecrets?: boolean;
}
