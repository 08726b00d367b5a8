/** Golden scripts of COMPACT BACKUP, DELETE BACKUP and EXPIRE BACKUPS in SQL (backup/sqlScript.ts). */
import { openSqlScript } from '../backup/sqlScript.ts';
import { goldenSuite } from '../support/golden.ts';

goldenSuite('backup_retention', () => openSqlScript({ nodes: 1 }));
