/** External connections: CREATE, ALTER, DROP, SHOW, SHOW CREATE and CHECK EXTERNAL CONNECTION, and SHOW BACKUP CONNECTION, which is the last one's older name. */
import type { CheckExternalConnection, Expr, Option, Statement } from '../ast.ts';
import { T } from '../tokens.ts';
import { BackupPartsParser } from './backupParts.ts';

export class ConnectionsParser extends BackupPartsParser {
  readonly statement = this.rule('connections', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [
        [T.CREATE, T.EXTERNAL, T.CONNECTION],
        () => {
          const ifNotExists = this.words(T.IF, T.NOT, T.EXISTS);
          const name = this.connectionName();
          this.tok(T.AS);
          return { kind: 'createExternalConnection', ifNotExists, name, uri: this.location(), pos };
        },
      ],
      [
        [T.ALTER, T.EXTERNAL, T.CONNECTION],
        () => {
          const ifExists = this.words(T.IF, T.EXISTS);
          const name = this.connectionName();
          this.tok(T.AS);
          return { kind: 'alterExternalConnection', ifExists, name, uri: this.location(), pos };
        },
      ],
      [
        [T.DROP, T.EXTERNAL, T.CONNECTION],
        () => ({ kind: 'dropExternalConnection', ifExists: this.words(T.IF, T.EXISTS), name: this.connectionName(), pos }),
      ],
      [[T.SHOW, T.EXTERNAL], () => ({ kind: 'showExternalConnections', create: false, name: this.oneOrAll(), pos })],
      [[T.SHOW, T.CREATE, T.EXTERNAL], () => ({ kind: 'showExternalConnections', create: true, name: this.oneOrAll(), pos })],
      [
        [T.SHOW, T.CREATE, T.ALL, T.EXTERNAL, T.CONNECTIONS],
        () => ({ kind: 'showExternalConnections', create: true, name: undefined, pos }),
      ],
      [[T.CHECK, T.EXTERNAL, T.CONNECTION], () => this.check(pos)],
      [[T.SHOW, T.BACKUP, T.CONNECTION], () => this.check(pos)],
    ]);
  });

  private oneOrAll(): Expr | undefined {
    return this.choose<Expr | undefined>([
      [T.CONNECTIONS, () => undefined],
      [T.CONNECTION, () => this.connectionName()],
    ]);
  }

  private check(pos: number): CheckExternalConnection {
    const uri = this.location();
    const options =
      this.when(T.WITH, () =>
        this.choose<Option[]>([[[T.OPTIONS, T.LParen], () => this.closed(() => this.checkOptions())]], () => this.checkOptions()),
      ) ?? [];
    return { kind: 'checkExternalConnection', uri, options, pos };
  }

  private closed<R>(body: () => R): R {
    const result = body();
    this.tok(T.RParen);
    return result;
  }

  private checkOptions(): Option[] {
    return this.list((): Option => {
      const { text, pos } = this.label();
      this.tok(T.Equal);
      return { name: text.toLowerCase(), value: this.expr(), pos };
    });
  }

  /** A word, a text or a placeholder. */
  private connectionName(): Expr {
    if (this.recorder === undefined && this.c.at(T.Placeholder)) return this.expr();
    const { text, pos } = this.recorder === undefined && !this.c.at(T.String) ? this.label() : this.role();
    return { kind: 'string', value: text, pos };
  }
}
