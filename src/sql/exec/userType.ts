/**
 * User types by name: what a type name in a statement stands for when no built-in type has it.
 */
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { TypeDescriptor } from '../../catalog/descriptor.ts';
import { enumTypeOf, userPartOf } from '../../catalog/enumType.ts';
import { arrayOf, type ColumnType } from '../../catalog/type.ts';
import type { TypeName } from '../parse/ast.ts';

export interface UserType {
  readonly type: ColumnType;
  readonly descriptor: TypeDescriptor;
}

/** Undefined when there is none. `_t` is the array of t where no type is called so, as in PostgreSQL. */
export function userType(snapshot: CatalogSnapshot, name: TypeName, names: NameContext): UserType | undefined {
  const parts = name.name.parts.map((part) => part.text);
  const found = snapshot.resolveType(parts, names);
  if (found) {
    const type = enumTypeOf(found.descriptor, snapshot);
    return { type: name.isArray ? arrayOf(type) : type, descriptor: found.descriptor };
  }
  const last = parts.at(-1) ?? '';
  if (!last.startsWith('_') || name.isArray) return undefined;
  const element = snapshot.resolveType([...parts.slice(0, -1), last.slice(1)], names);
  return element && { type: arrayOf(enumTypeOf(element.descriptor, snapshot)), descriptor: element.descriptor };
}

/** Types that were learned earlier as they are now: an enum's labels come, go and change their names. */
export function currentTypes(types: readonly ColumnType[], snapshot: CatalogSnapshot): ColumnType[] {
  return types.map((type) => {
    const user = userPartOf(type);
    const descriptor = user?.typeId === undefined ? undefined : snapshot.typeById(user.typeId);
    if (!descriptor) return type;
    const current = enumTypeOf(descriptor, snapshot);
    return type === user ? current : arrayOf(current);
  });
}

/** True when currentTypes() could give others. */
export const haveLabels = (types: readonly ColumnType[]): boolean => types.some((type) => userPartOf(type) !== undefined);
