/**
 * Functions of users, by the names of a statement: found in a snapshot of the catalog, on the search
 * path, and callable by whoever may EXECUTE them.
 */
import type { CatalogSnapshot, NameContext } from '../../catalog/catalog.ts';
import type { FunctionDescriptor } from '../../catalog/descriptor.ts';
import { checkPrivilege } from '../../catalog/privileges.ts';
import type { UserFunction, UserFunctions } from '../expr/userFunction.ts';
import type { ObjectName } from '../parse/ast.ts';
import { userFunction } from '../plan/carriedFunctions.ts';

export interface CatalogFunctionOptions {
  /** Whose privileges are asked for; absent for the text of a view, which asks for none. */
  readonly roles?: ReadonlySet<string>;
  /** Hears what each call means. */
  readonly note?: (name: ObjectName, called: FunctionDescriptor) => void;
  readonly keepsCalls?: boolean;
}

export function catalogFunctions(
  snapshot: CatalogSnapshot,
  names: NameContext,
  { roles, note, keepsCalls = false }: CatalogFunctionOptions,
): UserFunctions {
  const descriptors = new Map<number, FunctionDescriptor>();
  return {
    keepsCalls,
    named(name) {
      const found = snapshot.resolveFunctions(
        name.parts.map(({ text }) => text),
        names,
      );
      return found.map((descriptor): UserFunction => {
        descriptors.set(descriptor.id, descriptor);
        return functionOf(snapshot, descriptor);
      });
    },
    called(name, { id }) {
      const descriptor = descriptors.get(id);
      if (!descriptor) return;
      if (roles) checkPrivilege(roles, descriptor, 'EXECUTE');
      note?.(name, descriptor);
    },
  };
}

/** A function as calls of it are analysed. */
export function functionOf(snapshot: CatalogSnapshot, descriptor: FunctionDescriptor): UserFunction {
  const [, schema = 'public'] = snapshot.fullName(descriptor);
  return userFunction({ ...descriptor, schema }, ({ typeId }) => {
    const type = typeId === undefined ? undefined : snapshot.typeById(typeId);
    return type && snapshot.fullName(type);
  });
}
