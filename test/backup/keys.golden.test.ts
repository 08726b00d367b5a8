/** Golden scripts of encrypted backups in SQL (sqlScript.ts), on two nodes of two localities. */
import { goldenSuite } from '../support/golden.ts';
import { openSqlScript } from './sqlScript.ts';

goldenSuite('backup_keys', () => openSqlScript({ localities: ['region=east', 'region=west'] }));
