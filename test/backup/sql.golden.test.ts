/** Golden scripts of backups in SQL (sqlScript.ts), on three nodes. */
import { goldenSuite } from '../support/golden.ts';
import { openSqlScript } from './sqlScript.ts';

goldenSuite('backup_sql', () => openSqlScript({ nodes: 3 }));
