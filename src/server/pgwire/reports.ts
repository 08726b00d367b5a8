/** Errors as the fields of an ErrorResponse. */
import { isVarveError } from '../../base/errors.ts';
import { SqlState } from '../../base/sqlState.ts';
import { tooLargeValue } from '../../sql/expr/resultSize.ts';
import type { ReportFields } from './backendMessages.ts';

/** Any error as the fields of a report; what is not Varve's own is a bug, and says so. */
export function reportOf(thrown: unknown, severity: 'ERROR' | 'FATAL'): ReportFields {
  const error = tooLargeValue(thrown);
  if (!isVarveError(error)) {
    return {
      severity,
      code: SqlState.InternalError,
      message: `internal error: ${error instanceof Error ? error.message : String(error)}`,
      hint: 'this is a bug in Varve',
    };
  }
  return {
    severity,
    code: error.code,
    message: error.message,
    detail: error.detail,
    hint: error.hint,
    position: error.location?.position,
    schema: error.schema,
    table: error.table,
    column: error.column,
    constraint: error.constraint,
  };
}
