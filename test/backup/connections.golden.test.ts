/** Golden scripts of external connections (sqlScript.ts), on two nodes, one of which is in region east. */
import { goldenSuite } from '../support/golden.ts';
import { openSqlScript } from './sqlScript.ts';

goldenSuite('connections', () => openSqlScript({ nodes: 2, localities: ['region=west', 'region=east'] }));
