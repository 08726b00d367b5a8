/** How values look to a session's client: its time zone and styles, and names for the oids it is shown. */
import { requireTimeZone } from '../../catalog/datetime.ts';
import type { TextContext } from '../../catalog/datumText.ts';
import { oidNamer } from './oidNames.ts';
import type { SessionState } from './statement.ts';

export function textContextOf(session: SessionState): TextContext {
  const { vars } = session;
  return {
    oidName: oidNamer(session),
    timeZone: requireTimeZone(vars.get('timezone')),
    intervalStyle: vars.get('intervalstyle') as TextContext['intervalStyle'],
    byteaOutput: vars.get('bytea_output') as TextContext['byteaOutput'],
  };
}
