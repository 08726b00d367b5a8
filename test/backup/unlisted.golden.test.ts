/** Golden scripts of backups in SQL (sqlScript.ts) to a storage that cannot list, as a plain HTTP server cannot. */
import { withoutList } from '../storage/withoutList.ts';
import { goldenSuite } from '../support/golden.ts';
import { openSqlScript } from './sqlScript.ts';

goldenSuite('backup_unlisted', () => openSqlScript({ nodes: 2, wrapStorage: withoutList }));
