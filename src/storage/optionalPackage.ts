/**
 * Optional packages: SDKs of cloud providers, which an installation has only when somebody wants them, and
 * which are loaded when they are first used.
 */
import { StatementError } from '../base/errors.ts';
import { SqlState } from '../base/sqlState.ts';

/** What `load` imports. 0A000 naming the package when it is not installed. */
export async function loadOptional<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown };
    const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND';
    // Where a package that it needs itself is missing, the installation is broken, and the error says how.
    if (!isMissing || !String(message).includes(name)) throw error;
    throw new StatementError(SqlState.FeatureNotSupported, `${purpose} needs the package "${name}", which is not installed`, {
      hint: `npm install ${name}`,
    });
  }
}
