/** The syntax tree of statements about functions of users. See ast.ts for the rules every node follows. */
import type { Name, ObjectName, TypeName } from './astCore.ts';
import type { DropBehavior } from './astSchema.ts';

declare module './astCore.ts' {
  interface Statements {
    createFunction: CreateFunction;
    alterFunction: AlterFunction;
    dropFunction: DropFunction;
  }
}

export interface FunctionParameter {
  readonly name: Name | undefined;
  readonly type: TypeName;
  readonly pos: number;
}

/** What a function says of itself; each at most once. */
export interface FunctionOptions {
  readonly volatility?: 'immutable' | 'stable' | 'volatile';
  readonly isLeakproof?: boolean;
  /** STRICT, and RETURNS NULL ON NULL INPUT. */
  readonly isStrict?: boolean;
}

export interface CreateFunction {
  readonly kind: 'createFunction';
  readonly name: ObjectName;
  readonly orReplace: boolean;
  readonly params: readonly FunctionParameter[];
  readonly returns: TypeName;
  readonly returnsSet: boolean;
  readonly options: FunctionOptions;
  readonly language: string;
  /** Statements as text. */
  readonly body: string;
  readonly pos: number;
}

/** `f(INT, STRING)`, or `f` where there is only one. */
export interface FunctionName {
  readonly name: ObjectName;
  readonly params: readonly TypeName[] | undefined;
  readonly pos: number;
}

export interface AlterFunction {
  readonly kind: 'alterFunction';
  readonly function: FunctionName;
  readonly action:
    | { readonly type: 'rename'; readonly newName: Name }
    | { readonly type: 'setSchema'; readonly schema: Name }
    | { readonly type: 'owner'; readonly owner: Name }
    | { readonly type: 'options'; readonly options: FunctionOptions };
  readonly pos: number;
}

export interface DropFunction {
  readonly kind: 'dropFunction';
  readonly functions: readonly FunctionName[];
  readonly ifExists: boolean;
  readonly behavior: DropBehavior;
  readonly pos: number;
}
