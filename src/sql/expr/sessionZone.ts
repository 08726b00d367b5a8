/** The session's time zone as rules. */
import { requireTimeZone, type TimeZone } from '../../catalog/datetime.ts';
import type { EvalContext } from './evalContext.ts';

/** The zone SET TIME ZONE chose. Cost: a map lookup. */
export function zoneOf(ctx: EvalContext): TimeZone {
  return requireTimeZone(ctx.session.timeZone);
}
