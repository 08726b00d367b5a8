/** The syntax tree of statements on external connections. See ast.ts for the rules every node follows. */
import type { Expr, Option } from './astCore.ts';

declare module './astCore.ts' {
  interface Statements {
    createExternalConnection: CreateExternalConnection;
    alterExternalConnection: AlterExternalConnection;
    dropExternalConnection: DropExternalConnection;
    showExternalConnections: ShowExternalConnections;
    checkExternalConnection: CheckExternalConnection;
  }
}

export interface CreateExternalConnection {
  readonly kind: 'createExternalConnection';
  readonly ifNotExists: boolean;
  /** A text, also where it was written as a name. */
  readonly name: Expr;
  readonly uri: Expr;
  readonly pos: number;
}

export interface AlterExternalConnection {
  readonly kind: 'alterExternalConnection';
  readonly ifExists: boolean;
  readonly name: Expr;
  readonly uri: Expr;
  readonly pos: number;
}

export interface DropExternalConnection {
  readonly kind: 'dropExternalConnection';
  readonly ifExists: boolean;
  readonly name: Expr;
  readonly pos: number;
}

export interface ShowExternalConnections {
  readonly kind: 'showExternalConnections';
  /** SHOW CREATE. */
  readonly create: boolean;
  /** Undefined: all of them. */
  readonly name: Expr | undefined;
  readonly pos: number;
}

/** CHECK EXTERNAL CONNECTION, and its older name SHOW BACKUP CONNECTION. */
export interface CheckExternalConnection {
  readonly kind: 'checkExternalConnection';
  readonly uri: Expr;
  /** transfer, time, concurrently. */
  readonly options: readonly Option[];
  readonly pos: number;
}
