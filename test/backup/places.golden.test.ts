/** Golden scripts of where backups lie (sqlScript.ts), on nodes in three regions. */
import { goldenSuite } from '../support/golden.ts';
import { openSqlScript } from './sqlScript.ts';

goldenSuite('backup_places', () => openSqlScript({ localities: ['region=east,zone=a', 'region=east,zone=b', 'region=west,zone=a', ''] }));
