/** A blog through Kysely: its migrator, its introspection, and the queries its builder writes. */
import { CompiledQuery, Kysely, PostgresDialect, type Generated, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { jsonArrayFrom, jsonBuildObject, jsonObjectFrom } from 'kysely/helpers/postgres';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type ClientsServer, errorOf, startClientsServer } from './support.ts';

interface Schema {
  writer: { id: Generated<number>; email: string; role: Generated<'admin' | 'author'>; bio: string | null; joined: Generated<Date> };
  post: {
    id: Generated<number>;
    writer_id: number;
    title: string;
    body: unknown;
    tags: Generated<string[]>;
    score: Generated<string>;
    published: Date | null;
  };
  comment: { id: Generated<string>; post_id: number; parent_id: string | null; body: string };
  visit: { post_id: number; day: string; count: Generated<number> };
  popular: { id: number; title: string };
}

interface Context {
  server: ClientsServer;
  db: Kysely<Schema>;
  migrator: Migrator;
}

const MIGRATIONS: Record<string, Migration> = {
  '001_writers': {
    async up(db) {
      await db.schema.createType('writer_role').asEnum(['admin', 'author']).execute();
      await db.schema
        .createTable('writer')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('email', 'varchar(120)', (column) => column.notNull().unique())
        .addColumn('role', sql`writer_role`, (column) => column.notNull().defaultTo('author'))
        .addColumn('bio', 'text')
        .addColumn('joined', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
        .execute();
    },
    async down(db) {
      await db.schema.dropTable('writer').execute();
      await db.schema.dropType('writer_role').execute();
    },
  },
  '002_posts': {
    async up(db) {
      await db.schema
        .createTable('post')
        .addColumn('id', 'integer', (column) => column.primaryKey().generatedByDefaultAsIdentity())
        .addColumn('writer_id', 'integer', (column) => column.notNull().references('writer.id').onDelete('cascade'))
        .addColumn('title', 'text', (column) => column.notNull())
        .addColumn('body', 'jsonb')
        .addColumn('tags', sql`text[]`, (column) => column.notNull().defaultTo(sql`'{}'`))
        .addColumn('score', 'numeric(6, 2)', (column) => column.notNull().defaultTo(0))
        .addColumn('published', 'timestamptz')
        .addUniqueConstraint('post_writer_title', ['writer_id', 'title'])
        .addCheckConstraint('post_score', sql`score >= 0`)
        .execute();
      await db.schema
        .createIndex('post_published')
        .on('post')
        .columns(['published desc', 'id'])
        .where(sql.ref('published'), 'is not', null)
        .execute();
      await db.schema
        .createTable('comment')
        .addColumn('id', 'uuid', (column) => column.primaryKey().defaultTo(sql`gen_random_uuid()`))
        .addColumn('post_id', 'integer', (column) => column.notNull())
        .addColumn('parent_id', 'uuid')
        .addColumn('body', 'text', (column) => column.notNull())
        .addForeignKeyConstraint('comment_post', ['post_id'], 'post', ['id'], (constraint) =>
          constraint.onDelete('cascade').onUpdate('restrict'),
        )
        .addForeignKeyConstraint('comment_parent', ['parent_id'], 'comment', ['id'])
        .execute();
      await db.schema
        .createTable('visit')
        .addColumn('post_id', 'integer', (column) => column.notNull().references('post.id'))
        .addColumn('day', 'date', (column) => column.notNull())
        .addColumn('count', 'bigint', (column) => column.notNull().defaultTo(1))
        .addPrimaryKeyConstraint('visit_pk', ['post_id', 'day'])
        .execute();
      await db.schema
        .createView('popular')
        .as(db.selectFrom('post').select(['id', 'title']).where('score', '>', 5))
        .execute();
    },
    async down(db) {
      await db.schema.dropView('popular').execute();
      for (const table of ['visit', 'comment', 'post']) await db.schema.dropTable(table).execute();
    },
  },
  '003_changes': {
    async up(db) {
      await db.schema
        .alterTable('visit')
        .addColumn('agent', 'varchar(20)')
        .alterColumn('count', (column) => column.setDefault(0))
        .execute();
      await db.schema.alterTable('visit').renameColumn('agent', 'browser').execute();
      await db.schema.alterTable('visit').dropColumn('browser').execute();
      await db.schema
        .alterTable('comment')
        .alterColumn('body', (column) => column.dropNotNull())
        .execute();
      await db.schema
        .alterTable('comment')
        .alterColumn('body', (column) => column.setNotNull())
        .execute();
      await db.schema.alterTable('visit').addCheckConstraint('visit_count', sql`count >= 0`).execute();
    },
    async down(db) {
      await db.schema.alterTable('visit').dropConstraint('visit_count').execute();
    },
  },
};

const test = suite<Context>('kysely');

test.before(async (context) => {
  context.server = await startClientsServer('kysely');
  const pool = new pg.Pool({ connectionString: context.server.url, max: 4 });
  // The server's last word to connections that the pool is letting go.
  pool.on('error', () => undefined);
  context.db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool, cursor: Cursor }) });
  context.migrator = new Migrator({ db: context.db, provider: { getMigrations: async () => MIGRATIONS } });
});

test.after(async ({ db, server }) => {
  await db.destroy();
  await server.close();
});

test('migrations go up, down and up again', async ({ migrator }) => {
  const names = async (
    step: Promise<{ error?: unknown; results?: readonly { migrationName: string; status: string; direction: string }[] }>,
  ) => {
    const { error, results } = await step;
    if (error) throw error;
    return results?.map(({ migrationName, status, direction }) => `${direction} ${migrationName} ${status}`);
  };
  assert.equal(await names(migrator.migrateToLatest()), ['Up 001_writers Success', 'Up 002_posts Success', 'Up 003_changes Success']);
  assert.equal(await names(migrator.migrateTo('001_writers')), ['Down 003_changes Success', 'Down 002_posts Success']);
  assert.equal(await names(migrator.migrateToLatest()), ['Up 002_posts Success', 'Up 003_changes Success']);
  assert.equal(await names(migrator.migrateToLatest()), []);
});

test('introspection tells the tables, their columns and defaults', async ({ db }) => {
  const tables = await db.introspection.getTables();
  assert.equal(tables.map((table) => [table.schema, table.name, table.isView]).sort(), [
    ['public', 'comment', false],
    ['public', 'popular', true],
    ['public', 'post', false],
    ['public', 'visit', false],
    ['public', 'writer', false],
  ]);
  const post = tables.find((table) => table.name === 'post');
  assert.equal(
    post?.columns.map((column) => [column.name, column.dataType, column.isNullable, column.isAutoIncrementing || column.hasDefaultValue]),
    [
      ['id', 'int4', false, true],
      ['writer_id', 'int4', false, false],
      ['title', 'text', false, false],
      ['body', 'jsonb', true, false],
      ['tags', '_text', false, true],
      ['score', 'numeric', false, true],
      ['published', 'timestamptz', true, false],
    ],
  );
  const writer = tables.find((table) => table.name === 'writer');
  assert.equal(
    writer?.columns.map((column) => [column.name, column.dataType, column.dataTypeSchema, column.isAutoIncrementing]),
    [
      ['id', 'int4', 'pg_catalog', true],
      ['email', 'varchar', 'pg_catalog', false],
      ['role', 'writer_role', 'public', false],
      ['bio', 'text', 'pg_catalog', false],
      ['joined', 'timestamptz', 'pg_catalog', false],
    ],
  );
  assert.ok((await db.introspection.getSchemas()).some((schema) => schema.name === 'public'));
});

test('rows go in, and come back as they went', async ({ db }) => {
  const writers = await db
    .insertInto('writer')
    .values([
      { email: 'ann@example.org', role: 'admin', bio: null },
      { email: 'bob@example.org', bio: 'writes' },
    ])
    .returningAll()
    .execute();
  assert.equal(
    writers.map((writer) => [writer.id, writer.email, writer.role, writer.bio, writer.joined instanceof Date]),
    [
      [1, 'ann@example.org', 'admin', null, true],
      [2, 'bob@example.org', 'author', 'writes', true],
    ],
  );
  await db
    .insertInto('post')
    .values([
      {
        writer_id: 1,
        title: 'One',
        body: JSON.stringify({ blocks: [{ text: 'hi' }] }),
        tags: ['a', 'b'],
        score: '7.50',
        published: new Date('2026-01-02'),
      },
      { writer_id: 1, title: 'Two', body: null, published: null },
      { writer_id: 2, title: 'Three', body: null, tags: ['b'], score: '1', published: new Date('2026-02-03') },
    ])
    .execute();
  const result = await db
    .updateTable('post')
    .set((eb) => ({ score: eb('score', '+', '1.25') }))
    .where('tags', '@>', sql<string[]>`array['b']`)
    .executeTakeFirst();
  assert.is(result.numUpdatedRows, 2n);
  assert.equal(await db.selectFrom('post').select(['id', 'score', 'tags']).orderBy('id').execute(), [
    { id: 1, score: '8.75', tags: ['a', 'b'] },
    { id: 2, score: '0.00', tags: [] },
    { id: 3, score: '2.25', tags: ['b'] },
  ]);
  assert.equal(await db.selectFrom('popular').selectAll().execute(), [{ id: 1, title: 'One' }]);
});

test('related rows come as json', async ({ db }) => {
  const [parent] = await db
    .insertInto('comment')
    .values([{ post_id: 1, parent_id: null, body: 'first' }])
    .returning('id')
    .execute();
  await db
    .insertInto('comment')
    .values({ post_id: 1, parent_id: parent?.id ?? null, body: 'reply' })
    .execute();
  const posts = await db
    .selectFrom('post')
    .select((eb) => [
      'post.id',
      jsonObjectFrom(eb.selectFrom('writer').select(['writer.id', 'writer.email']).whereRef('writer.id', '=', 'post.writer_id')).as(
        'writer',
      ),
      jsonArrayFrom(
        eb
          .selectFrom('comment')
          .select(['comment.body'])
          .select((inner) =>
            jsonArrayFrom(inner.selectFrom('comment as reply').select('reply.body').whereRef('reply.parent_id', '=', 'comment.id')).as(
              'replies',
            ),
          )
          .whereRef('comment.post_id', '=', 'post.id')
          .where('comment.parent_id', 'is', null)
          .orderBy('comment.body'),
      ).as('comments'),
      jsonBuildObject({ title: eb.ref('post.title'), tagged: eb(sql`cardinality(tags)`, '>', 0) }).as('facts'),
    ])
    .orderBy('post.id')
    .limit(2)
    .execute();
  assert.equal(posts as unknown, [
    {
      id: 1,
      writer: { id: 1, email: 'ann@example.org' },
      comments: [{ body: 'first', replies: [{ body: 'reply' }] }],
      facts: { title: 'One', tagged: true },
    },
    { id: 2, writer: { id: 1, email: 'ann@example.org' }, comments: [], facts: { title: 'Two', tagged: false } },
  ]);
});

test('upserts, common table expressions, windows and set operations', async ({ db }) => {
  const visit = () =>
    db
      .insertInto('visit')
      .values({ post_id: 1, day: '2026-03-01', count: 1 })
      .onConflict((conflict) =>
        conflict.columns(['post_id', 'day']).doUpdateSet((eb) => ({ count: eb('visit.count', '+', eb.ref('excluded.count')) })),
      )
      .returning('count')
      .executeTakeFirstOrThrow();
  assert.equal([await visit(), await visit()] as unknown, [{ count: '1' }, { count: '2' }]);
  const ranked = await db
    .with('scored', (qb) =>
      qb.selectFrom('post').select((eb) => [
        'writer_id',
        'title',
        eb.fn
          .agg<string>('rank')
          .over((ob) => ob.partitionBy('writer_id').orderBy('score', 'desc'))
          .as('place'),
      ]),
    )
    .selectFrom('scored')
    .innerJoin('writer', 'writer.id', 'scored.writer_id')
    .select((eb) => ['writer.email', eb.fn.count<string>('title').filterWhere('place', '=', '1').as('best'), eb.fn.max('title').as('last')])
    .groupBy('writer.email')
    .having((eb) => eb.fn.countAll(), '>', 0)
    .orderBy('writer.email')
    .execute();
  assert.equal(ranked as unknown, [
    { email: 'ann@example.org', best: '1', last: 'Two' },
    { email: 'bob@example.org', best: '1', last: 'Three' },
  ]);
  const both = await db
    .selectFrom('post')
    .select('title as name')
    .where('score', '>', '5')
    .union(db.selectFrom('writer').select('email as name').where('role', '=', 'author'))
    .orderBy('name')
    .execute();
  assert.equal(both, [{ name: 'One' }, { name: 'bob@example.org' }]);
  const lateral = await db
    .selectFrom('writer')
    .leftJoinLateral(
      (eb) =>
        eb.selectFrom('post').select('title').whereRef('post.writer_id', '=', 'writer.id').orderBy('id', 'desc').limit(1).as('latest'),
      (join) => join.onTrue(),
    )
    .select(['writer.id', 'latest.title'])
    .orderBy('writer.id')
    .execute();
  assert.equal(lateral, [
    { id: 1, title: 'Two' },
    { id: 2, title: 'Three' },
  ]);
  const merged = await db
    .selectFrom('post')
    .select((eb) => [
      eb.case().when('published', 'is', null).then('draft').else('out').end().as('state'),
      sql<number>`extract(year from published)::int`.as('year'),
      eb.fn.coalesce('published', sql<Date>`'2020-01-01'::timestamptz`).as('at'),
      eb
        .ref('body', '->')
        .key('blocks' as never)
        .at(0 as never)
        .as('block'),
    ])
    .where((eb) => eb.or([eb('title', 'like', 'O%'), eb.and([eb('published', 'is', null), eb.not(eb('score', '>', '3'))])]))
    .orderBy('id')
    .execute();
  assert.equal(merged as unknown, [
    { state: 'out', year: 2026, at: new Date('2026-01-02'), block: { text: 'hi' } },
    { state: 'draft', year: null, at: new Date('2020-01-01'), block: null },
  ]);
});

test('transactions commit, roll back, and hold savepoints', async ({ db }) => {
  const failed = await errorOf(
    db.transaction().execute(async (trx) => {
      await trx.deleteFrom('comment').execute();
      await trx.insertInto('writer').values({ email: 'ann@example.org', bio: null }).execute();
    }),
  );
  assert.equal([failed.code, failed.constraint], ['23505', 'writer_email_key']);
  assert.is(
    Number(
      (
        await db
          .selectFrom('comment')
          .select((eb) => eb.fn.countAll().as('n'))
          .executeTakeFirstOrThrow()
      ).n,
    ),
    2,
  );
  const trx = await db.startTransaction().setIsolationLevel('repeatable read').execute();
  await trx.insertInto('writer').values({ email: 'carl@example.org', bio: null }).execute();
  const saved = await trx.savepoint('before').execute();
  await saved.deleteFrom('writer').where('email', 'like', 'carl%').execute();
  await saved.rollbackToSavepoint('before').execute();
  await trx.commit().execute();
  assert.equal(await db.selectFrom('writer').select('email').where('email', 'like', 'carl%').execute(), [{ email: 'carl@example.org' }]);
  const locked = await db
    .transaction()
    .execute((own) => own.selectFrom('writer').select('id').where('id', '=', 1).forUpdate().skipLocked().execute());
  assert.equal(locked, [{ id: 1 }]);
});

test('rows stream through a cursor', async ({ db }) => {
  const ids: number[] = [];
  for await (const row of db.selectFrom('post').select('id').orderBy('id').stream(2)) ids.push(row.id);
  assert.equal(ids, [1, 2, 3]);
  const raw = await db.executeQuery(CompiledQuery.raw('SELECT $1::int8 AS big, $2::text AS t', ['9007199254740993', 'x']));
  assert.equal(raw.rows, [{ big: '9007199254740993', t: 'x' }]);
});

test.run();
