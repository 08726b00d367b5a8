/**
 * A real schema: Chado 1.31, the database of the GMOD genome projects, as Debian's package libchado-perl
 * brings it: 213 tables, foreign keys that are deferred, sequences, and 1,864 views, most of them one for
 * each term of the Sequence Ontology. The schema is loaded as it is; it comes without rows, so a genome
 * is made up for it, written children first, which its deferred keys allow.
 *
 * Refused by name are its functions, three GiST indexes over them, an aggregate and the two composite
 * types that functions return; nothing else is.
 *
 * `.ci/run` unpacks the package and names the file in CHADO_SQL.
 */
import { existsSync, readFileSync } from 'node:fs';

import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import type { Listening } from '../dump/support.ts';
import { hasPsql } from '../support/programs.ts';
import { roundTrip } from './roundTrip.ts';

const FILE = process.env['CHADO_SQL'] ?? '/usr/share/gmod/chado/modules/default_schema.sql';
const isHere = hasPsql && existsSync(FILE);

const FEATURES = 4_000;

/** Functions in another language or over rows, what calls these, and what else there is not. */
const REFUSED = new RegExp(
  [
    'functions in LANGUAGE plpgsql are not supported',
    'unimplemented: (CREATE AGGREGATE|composite types|types taken from a column by %TYPE)',
    'index method "gist" is not supported',
    'type "(box|point|feature|featuregroup|featureloc|gffatts)" does not exist',
    'unknown function: (phylonode_height|reverse_complement|reverse_string|subsequence_by_\\w+|translate_dna)\\(\\)',
  ]
    .map((line) => `ERROR:  ${line}$`)
    .join('|'),
);

const test = suite('Chado');
if (!isHere) console.log('skipped: the package libchado-perl, or psql, is not installed');

(isHere ? test : test.skip)('loads, and comes back from a dump as it was', async () => {
  const schema = readFileSync(FILE, 'utf8');
  await roundTrip({
    database: 'chado',
    // What PostgreSQL does for SERIAL, and with ON DELETE SET NULL on a column that is NOT NULL.
    settings: ["serial_normalization = 'sql_sequence'", 'varve.null_actions_on_not_null = on'],
    scripts: [schema, genome(termsOf(schema))],
    refused: REFUSED,
    asked,
  });
});

/** Names of the terms that the views pick features by. */
function termsOf(schema: string): string[] {
  return [...new Set([...schema.matchAll(/cvterm\.name = '(\w+)'/g)].map(([, name]) => name as string))].sort();
}

/** A made-up genome: four features on each contig, of all terms in turn, with what is known about them. */
function genome(terms: readonly string[]): string {
  const quoted = terms.map((name) => `'${name}'`);
  const all = `generate_series(1, ${FEATURES}) AS g(i)`;
  return `
BEGIN;
INSERT INTO featureloc (feature_id, srcfeature_id, fmin, fmax, strand)
  SELECT i, i - i % 5, i % 5 * 100, i % 5 * 100 + i % 300, i % 2 * 2 - 1 FROM ${all} WHERE i % 5 > 0 AND i > 5;
INSERT INTO featureprop (feature_id, type_id, value, rank)
  SELECT i, 1 + k, 'note ' || i || ': ' || repeat(chr(65 + i % 26), i % 40), i % 3 FROM ${all}, generate_series(1, 10) AS h(k);
INSERT INTO feature_relationship (subject_id, object_id, type_id, value)
  SELECT i, 1 + i * 7 % ${FEATURES}, k, NULL FROM ${all}, generate_series(1, 4) AS h(k);
INSERT INTO feature_cvterm (feature_id, cvterm_id, pub_id, is_not)
  SELECT i, 1 + (i + k * 37) % ${terms.length}, 1 + i % 100, i % 11 = 0 FROM ${all}, generate_series(1, 8) AS h(k);
INSERT INTO analysisfeature (feature_id, analysis_id, rawscore, significance)
  SELECT i, 1 + i % 4, i / 7.0, 1.0 / i FROM ${all} WHERE i % 2 = 1;
INSERT INTO feature (feature_id, dbxref_id, organism_id, name, uniquename, residues, seqlen, md5checksum, type_id, timeaccessioned, timelastmodified)
  SELECT i, i, 1 + i % 3, 'f' || i, 'made:' || i, substr(repeat('ACGT', 10), 1 + i % 4, i % 30), i % 30, md5(i::TEXT), 1 + i % ${terms.length},
         TIMESTAMP '2026-11-20 00:00:00' + i * INTERVAL '1 second', TIMESTAMP '2026-11-20 12:00:00'
    FROM ${all};
SELECT setval('feature_feature_id_seq', ${FEATURES});
INSERT INTO cvterm (cv_id, name, dbxref_id)
  SELECT 1, name, i FROM ROWS FROM (unnest(ARRAY[${quoted.join(', ')}])) WITH ORDINALITY AS t(name, i);
INSERT INTO pub (uniquename, pyear, type_id) SELECT 'pub ' || i, (1950 + i % 70)::TEXT, 1 FROM generate_series(1, 100) AS g(i);
INSERT INTO analysis (name, program, programversion, timeexecuted)
  VALUES ('a', 'blastn', '2.2', '2026-01-01'), ('b', 'blastp', '2.2', '2026-01-02'), ('c', 'sim4', '1', '2026-01-03'), ('d', 'genscan', '1', '2026-01-04');
INSERT INTO organism (abbreviation, genus, species) VALUES ('D.mel', 'Drosophila', 'melanogaster'), ('M.mus', 'Mus', 'musculus'), ('S.cer', 'Saccharomyces', 'cerevisiae');
INSERT INTO dbxref (db_id, accession) SELECT 1 + i % 2, 'X' || i FROM ${all};
INSERT INTO cv (name) VALUES ('sequence');
INSERT INTO db (name, description) VALUES ('SO', 'the Sequence Ontology'), ('made', 'made up');
COMMIT;
`;
}

/** What the genome's rules say of it: that the deferred keys hold, and what views make of it. */
async function asked({ varve }: Listening): Promise<void> {
  await varve.query('USE chado');
  const { rows } = await varve.query(
    `SELECT (SELECT count(*) FROM so.gene WHERE type_id = (SELECT cvterm_id FROM cvterm WHERE name = 'gene')) AS genes,
            (SELECT count(*) FROM feature JOIN cvterm ON type_id = cvterm_id WHERE cvterm.name = 'gene') AS counted`,
  );
  assert.ok(Number(rows[0]?.['genes']) > 0);
  assert.is(String(rows[0]?.['genes']), String(rows[0]?.['counted']));
  try {
    await varve.query("INSERT INTO featureprop (featureprop_id, feature_id, type_id, value) VALUES (0, 10000000, 1, 'of nothing')");
    assert.unreachable('a reference to nothing');
  } catch (error) {
    assert.is((error as { code?: string }).code, '23503');
  }
}

test.run();
