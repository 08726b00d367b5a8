/** Programs that tests drive where they are installed; a test that wants one is skipped, and counted as such, elsewhere. */
import { spawnSync } from 'node:child_process';

const has = (program: string, flag = '--version'): boolean => spawnSync(program, [flag]).status === 0;

export const hasPsql = has('psql');
export const hasPostgres = has('initdb') && has('postgres');
export const hasOpenssl = has('openssl', 'version');
