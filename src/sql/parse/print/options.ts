/** What a caller may ask of the printer. */
import type { Expr } from '../ast.ts';

export interface PrintOptions {
  /** Consulted for every expression first: a text stands for it. Fills placeholders, hides constants. */
  readonly replace?: (expr: Expr) => string | undefined;
  /** Prints passphrases and passwords instead of `*****`, and the secrets in storage URIs instead of `redacted`. */
  readonly showSecrets?: boolean;
}
