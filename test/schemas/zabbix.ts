/**
 * A real schema with its data: Zabbix 6.0 as Debian's package zabbix-server-pgsql brings it, 173 tables
 * with 129,914 rows in its templates, foreign keys and sequences. The files are loaded as they are. It has
 * no views, and rows without number in three tables only, so a site's own reports and some proxy's values
 * join it: what an installation adds.
 *
 * Its two trigger functions and their triggers are refused by name, and nothing else is.
 *
 * `.ci/run` unpacks the package and names its folder in ZABBIX_SQL. It is no part of `npm test`: 130,000
 * INSERTs, each a message, take longer than a test file may.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { hasPsql } from '../support/programs.ts';
import { roundTrip } from './roundTrip.ts';

const FOLDER = process.env['ZABBIX_SQL'] ?? '/usr/share/zabbix-server-pgsql';
const isHere = hasPsql && existsSync(`${FOLDER}/schema.sql.gz`);
const unpacked = (name: string): string => gunzipSync(readFileSync(`${FOLDER}/${name}.sql.gz`)).toString();

const SITE = `
INSERT INTO proxy_history (itemid, clock, value)
  SELECT itemid, 1780000000 + itemid % 1000, 'value ' || itemid FROM items WHERE itemid % 50 = 0 ORDER BY itemid;
CREATE VIEW items_of_hosts AS
  SELECT h.hostid, h.host, count(i.itemid) AS items, count(DISTINCT i.key_) AS keys
    FROM hosts h LEFT JOIN items i ON i.hostid = h.hostid GROUP BY h.hostid, h.host;
CREATE VIEW triggers_of_hosts AS
  SELECT DISTINCT h.host, t.triggerid, t.description, t.priority
    FROM triggers t JOIN functions f USING (triggerid) JOIN items i USING (itemid) JOIN hosts h USING (hostid);
CREATE VIEW busiest AS SELECT host, items FROM items_of_hosts WHERE items > 100;
`;

const test = suite('Zabbix');
if (!isHere) console.log('skipped: the package zabbix-server-pgsql, or psql, is not installed');

(isHere ? test : test.skip)('loads, and comes back from a dump as it was', async () => {
  const scripts = ['schema', 'images', 'data'].map(unpacked);
  const inserts = scripts.reduce((sum, text) => sum + (text.match(/^INSERT INTO /gm) ?? []).length, 0);
  await roundTrip({
    database: 'zabbix',
    settings: ["serial_normalization = 'sql_sequence'"],
    scripts: [...scripts, SITE],
    refused: /functions in LANGUAGE plpgsql are not supported$|unimplemented: CREATE TRIGGER$/,
    async asked(_source, { tables }) {
      const own = [...tables].filter(([name]) => !name.startsWith('public.proxy_history('));
      assert.is(
        own.reduce((sum, [, rows]) => sum + rows.length, 0),
        inserts,
      );
    },
  });
});

test.run();
