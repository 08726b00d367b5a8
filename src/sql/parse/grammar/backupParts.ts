/**
 * What the statements of backups and of their schedules have in common: targets, locations and options.
 */
import type { AsOfClause, BackupTargets, Expr, Option, UriList } from '../ast.ts';
import { nameClass, T } from '../tokens.ts';
import { FamilyParser } from './base.ts';
import { parseExpr } from './expressions.ts';

export abstract class BackupPartsParser extends FamilyParser {
  // ---- targets and locations ----------------------------------------------------------------------

  protected targets(stops: readonly (typeof T)['TO'][]): BackupTargets {
    if (this.recorder === undefined && stops.some((type) => this.c.at(type))) return { type: 'cluster' };
    return this.choose<BackupTargets>(
      [
        [T.DATABASE, () => ({ type: 'databases', names: this.names() })],
        [T.TABLE, () => ({ type: 'tables', patterns: this.list(() => this.tablePattern()) })],
        [[T.SYSTEM, T.USERS], () => ({ type: 'systemUsers' })],
      ],
      () => ({ type: 'tables', patterns: this.list(() => this.tablePattern()) }),
    );
  }

  /** A string, a placeholder, or a name in double quotes, which stands for a string. */
  protected location(): Expr {
    if (this.recorder !== undefined) return this.expr();
    const { c } = this;
    const token = c.token;
    if (token.type === T.QuotedIdentifier) {
      c.index++;
      return { kind: 'string', value: token.image, pos: token.startOffset };
    }
    if (token.type !== T.String && token.type !== T.Placeholder) throw c.error();
    return parseExpr(c, 19);
  }

  protected readonly uris = this.rule('uris', (): UriList => {
    return this.choose<UriList>(
      [
        [
          T.LParen,
          () => {
            const list = this.list(() => this.location());
            this.tok(T.RParen);
            return list;
          },
        ],
      ],
      () => [this.location()],
    );
  });

  protected asOf(): AsOfClause | undefined {
    const pos = this.pos;
    return this.when([T.AS, T.OF, T.SYSTEM, T.TIME], () => ({ expr: this.expr(), pos }));
  }

  /** The options being read may be quoted, as they were in CockroachDB v1.0: WITH OPTIONS ('into_db' = 'd'). */
  private mayQuote = false;

  /** Of BACKUP and RESTORE with a collection, whose options are words of the language. */
  private mayNotQuote = false;

  protected wordOptions(): Option[] {
    this.mayNotQuote = true;
    try {
      return this.options();
    } finally {
      this.mayNotQuote = false;
    }
  }

  /** Of a statement that names its layers one by one. */
  protected listedOptions(): Option[] {
    this.mayQuote = true;
    try {
      return this.options();
    } finally {
      this.mayQuote = false;
    }
  }

  /** WITH a, b = v; WITH OPTIONS (a, b = v). */
  protected options(): Option[] {
    return (
      this.when(T.WITH, () =>
        this.choose<Option[]>(
          [
            [
              [T.OPTIONS, T.LParen],
              () => {
                const options = this.list(() => this.option());
                this.tok(T.RParen);
                return options;
              },
            ],
          ],
          () => this.list(() => this.option()),
        ),
      ) ?? []
    );
  }

  protected readonly option = this.rule('backupOption', (): Option => {
    const pos = this.pos;
    const name = this.optionName();
    return { name, value: this.when(T.Equal, () => this.expr()), pos };
  });

  /** One word or more: `revision_history`, `EXECUTION LOCALITY`. */
  private optionName(): string {
    if (this.hole('OptionName')) return '';
    const { c } = this;
    if (c.at(T.String) && this.mayQuote) {
      const { image } = c.token;
      c.index++;
      return image.toLowerCase();
    }
    if (c.at(T.String)) {
      throw c.errorSaying('option names are written without quotes');
    }
    if (this.mayNotQuote && c.token.type === T.QuotedIdentifier) throw c.errorSaying('option names are written without quotes');
    let name = c.name().text;
    while (nameClass(c.token) !== undefined && !c.at(T.RECURRING)) name += ` ${c.label().text}`;
    return name.toLowerCase();
  }
}
