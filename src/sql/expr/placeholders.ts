/**
 * The types of $1, $2, ...: given by the client, or found from their use.
 */
import { StatementError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { type ColumnType, familyName, typeOfOid, typesEquivalent } from '../../catalog/type.ts';
import type { PlaceholderTypes } from './scope.ts';

export class Placeholders implements PlaceholderTypes {
  readonly #types: (ColumnType | undefined)[];
  readonly #given: readonly (ColumnType | undefined)[];
  readonly fallback: ColumnType | undefined;

  /** `given`: types the client declared, undefined where it left the choice to us. `fallback`: the type of those that nothing types. */
  constructor(given: readonly (ColumnType | undefined)[] = [], fallback?: ColumnType) {
    this.fallback = fallback;
    this.#types = [...given];
    this.#given = given;
  }

  /** From a Parse message: OID 0, or one that is not known, leaves the choice to us. */
  static fromOids(oids: readonly number[]): Placeholders {
    return new Placeholders(oids.map((oid) => (oid === 0 || oid === 705 ? undefined : typeOfOid(oid))));
  }

  typeOf(index: number): ColumnType | undefined {
    return this.#types[index];
  }

  declared(index: number): ColumnType | undefined {
    return this.#given[index];
  }

  settle(index: number, type: ColumnType): void {
    const known = this.#types[index];
    if (known && !typesEquivalent(known, type)) {
      throw new StatementError(
        SqlState.DatatypeMismatch,
        `placeholder $${index + 1} already has type ${familyName(known)}, cannot assign ${familyName(type)}`,
      );
    }
    while (this.#types.length < index) this.#types.push(undefined);
    this.#types[index] ??= type;
  }

  /** Types in order. Throws 42P18 for a gap: a placeholder that is not used, or nowhere typed. */
  settled(): ColumnType[] {
    return Array.from(this.#types, (type, index) => {
      if (!type) throw undeterminedPlaceholder(index);
      return type;
    });
  }
}

/** 42P18: `$1:::T` where $1 was declared, or annotated elsewhere, as something else. */
export function conflictingAnnotation(index: number, types: PlaceholderTypes, annotated: ColumnType): StatementError {
  const declared = types.declared(index - 1);
  return new StatementError(
    SqlState.IndeterminateDatatype,
    declared
      ? `type annotation around $${index} conflicts with specified type ${familyName(declared)}`
      : `multiple conflicting type annotations around $${index}`,
    { detail: `it is annotated as ${familyName(annotated)}` },
  );
}

export function undeterminedPlaceholder(index: number): StatementError {
  return new StatementError(SqlState.IndeterminateDatatype, `could not determine data type of placeholder $${index + 1}`, {
    hint: `say what it is: $${index + 1}::STRING`,
  });
}
