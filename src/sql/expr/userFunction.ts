/**
 * UserFunction: a function that users wrote in SQL, as calls of it are analysed: its body is put in
 * place of the call (userCall.ts). Whoever knows the catalog makes it (exec/userFunctions.ts).
 */
import type { ColumnType } from '../../catalog/type.ts';
import type { Expr, ObjectName, SelectStatement, TypeName } from '../parse/ast.ts';
import type { Volatility } from './overload.ts';

export interface UserFunction {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly type: ColumnType; readonly typeName: TypeName }[];
  readonly returns: ColumnType;
  readonly returnsName: TypeName;
  readonly returnsSet: boolean;
  readonly volatility: Volatility;
  readonly isStrict: boolean;
  /** The queries of its body, with full names, parameters as columns; the last one gives the result. */
  readonly statements: readonly SelectStatement[];
  /** Of a body that is one SELECT of one expression and nothing else: the expression. */
  readonly expression: Expr | undefined;
}

/** The functions of users that an expression may call. */
export interface UserFunctions {
  /** Those of a name as written, in the order of the search path. */
  named(name: ObjectName): readonly UserFunction[];
  /** Hears which one a call means. Throws 42501 when the user may not call it. */
  called(name: ObjectName, called: UserFunction): void;
  /** For a text that is to be stored: calls stay calls. */
  readonly keepsCalls?: boolean;
}

/** What a parameter without a name is called. */
export const parameterName = (name: string | undefined, position: number): string => name ?? `$${position + 1}`;
