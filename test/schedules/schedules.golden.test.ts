/** Golden scripts of backup schedules: every statement, and what the executor makes of time. */
import { goldenSuite } from '../support/golden.ts';
import { openScheduleScript } from './scheduleScript.ts';

goldenSuite('schedules', () => openScheduleScript());
