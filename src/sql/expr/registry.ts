/**
 * FunctionRegistry: which functions exist, by name.
 *
 * The builtins are one shared, frozen registry; a database has a child of it, in which upper layers
 * register functions of their own (`varve_internal.advance_clock`) without sql naming them.
 * Names are lower-case, `schema.name` for functions outside pg_catalog.
 */
import { assert } from '../../base/assert.ts';
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import type { ObjectName } from '../parse/ast.ts';
import type { AggregateOverload, GeneratorOverload, Overload, WindowOverload } from './overload.ts';

/** What one name stands for: overloads of one kind. */
export type FunctionDefinition =
  | { readonly kind: 'scalar'; readonly name: string; readonly overloads: readonly Overload[] }
  | { readonly kind: 'aggregate'; readonly name: string; readonly overloads: readonly AggregateOverload[] }
  | { readonly kind: 'generator'; readonly name: string; readonly overloads: readonly GeneratorOverload[] }
  | { readonly kind: 'window'; readonly name: string; readonly overloads: readonly WindowOverload[] };

export class FunctionRegistry {
  readonly #parent: FunctionRegistry | undefined;
  readonly #definitions = new Map<string, FunctionDefinition>();

  constructor(parent?: FunctionRegistry) {
    this.#parent = parent;
  }

  /** Adds overloads; several may share a name, of this registry and of one kind. */
  register(...overloads: readonly Overload[]): void {
    for (const overload of overloads) this.#add({ kind: 'scalar', name: overload.name, overloads: [overload] });
  }

  registerAggregate(...overloads: readonly AggregateOverload[]): void {
    for (const overload of overloads) this.#add({ kind: 'aggregate', name: overload.name, overloads: [overload] });
  }

  registerGenerator(...overloads: readonly GeneratorOverload[]): void {
    for (const overload of overloads) this.#add({ kind: 'generator', name: overload.name, overloads: [overload] });
  }

  registerWindow(...overloads: readonly WindowOverload[]): void {
    for (const overload of overloads) this.#add({ kind: 'window', name: overload.name, overloads: [overload] });
  }

  /** The definition of a name in its canonical form; undefined when there is none. */
  find(name: string): FunctionDefinition | undefined {
    return this.#definitions.get(name) ?? this.#parent?.find(name);
  }

  /** As `find` for a name as written. Throws 42883 `unknown function: f()`. */
  resolve(name: ObjectName): FunctionDefinition {
    const written = name.parts.map((part) => part.text).join('.');
    const definition = this.find(canonicalFunctionName(written));
    if (definition) return definition;
    throw new StatementError(SqlState.UndefinedFunction, `unknown function: ${written}()`, { location: { position: name.pos + 1 } });
  }

  /** Every definition, sorted by name: for SHOW FUNCTIONS, pg_proc, completion. */
  all(): FunctionDefinition[] {
    const merged = new Map((this.#parent?.all() ?? []).map((definition) => [definition.name, definition]));
    for (const [name, definition] of this.#definitions) merged.set(name, definition);
    return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #add(definition: FunctionDefinition): void {
    const { name } = definition;
    assert(name === name.toLowerCase(), `function name ${name} is not lower-case`);
    const known = this.#definitions.get(name);
    assert(!known || known.kind === definition.kind, `function ${name} is of two kinds`);
    this.#definitions.set(name, {
      ...definition,
      overloads: [...(known?.overloads ?? []), ...definition.overloads],
    } as FunctionDefinition);
  }
}

/** Lower-case, without the schema every search path begins with. */
export function canonicalFunctionName(written: string): string {
  const lower = written.toLowerCase();
  return lower.startsWith('pg_catalog.') ? lower.slice('pg_catalog.'.length) : lower;
}
