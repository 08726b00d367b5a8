/** A clinic through Drizzle, over `pg` and over postgres.js: migrations from files, and queries with relations. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  and,
  arrayContains,
  asc,
  avg,
  between,
  count,
  desc,
  eq,
  exists,
  gt,
  ilike,
  inArray,
  isNull,
  lt,
  ne,
  or,
  sql,
  sum,
} from 'drizzle-orm';
import { drizzle as overPg, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate as migrateOverPg } from 'drizzle-orm/node-postgres/migrator';
import { alias } from 'drizzle-orm/pg-core';
import { drizzle as overPostgresJs } from 'drizzle-orm/postgres-js';
import { migrate as migrateOverPostgresJs } from 'drizzle-orm/postgres-js/migrator';
import pg from 'pg';
import postgres from 'postgres';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { owners, pets, vets, visits, skills, vetSkills, invoices, livingPets, schema } from './drizzleSchema.ts';
import { type ClientsServer, errorOf, startClientsServer } from './support.ts';

/** As drizzle-kit writes them for these tables. */
const MIGRATIONS: readonly (readonly [tag: string, text: string])[] = [
  [
    '0000_first',
    `CREATE SCHEMA "billing";
--> statement-breakpoint
CREATE TYPE "public"."visit_kind" AS ENUM('checkup', 'surgery', 'emergency');--> statement-breakpoint
CREATE TABLE "owners" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" varchar(60) NOT NULL,
	"email" text,
	"since" date DEFAULT '2020-01-01' NOT NULL,
	"preferences" jsonb DEFAULT '{"reminders":true}'::jsonb NOT NULL,
	"phones" text[] DEFAULT '{}'::text[] NOT NULL,
	CONSTRAINT "owners_email_unique" UNIQUE("email")
);
--> statement-breakpoint
CREATE TABLE "pets" (
	"id" integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "pets_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1),
	"owner_id" integer NOT NULL,
	"mother_id" integer,
	"name" text NOT NULL,
	"weight" double precision,
	"legs" smallint DEFAULT 4 NOT NULL,
	"born" timestamp with time zone,
	"chip" uuid DEFAULT gen_random_uuid() NOT NULL,
	"photo" "bytea",
	"is_alive" boolean DEFAULT true NOT NULL,
	"slug" text GENERATED ALWAYS AS (lower(name)) STORED,
	CONSTRAINT "pets_owner_name" UNIQUE("owner_id","name"),
	CONSTRAINT "pets_legs" CHECK ("pets"."legs" >= 0)
);
--> statement-breakpoint
CREATE TABLE "vets" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"starts" time
);
--> statement-breakpoint
CREATE TABLE "visits" (
	"id" bigserial PRIMARY KEY NOT NULL,
	"pet_id" integer NOT NULL,
	"vet_id" bigint,
	"kind" "visit_kind" DEFAULT 'checkup' NOT NULL,
	"day" date NOT NULL,
	"price" numeric(8, 2) NOT NULL,
	"lasted" interval
);
--> statement-breakpoint
ALTER TABLE "pets" ADD CONSTRAINT "pets_owner_id_owners_id_fk" FOREIGN KEY ("owner_id") REFERENCES "public"."owners"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pets" ADD CONSTRAINT "pets_mother" FOREIGN KEY ("mother_id") REFERENCES "public"."pets"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "visits" ADD CONSTRAINT "visits_pet_id_pets_id_fk" FOREIGN KEY ("pet_id") REFERENCES "public"."pets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "visits" ADD CONSTRAINT "visits_vet_id_vets_id_fk" FOREIGN KEY ("vet_id") REFERENCES "public"."vets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "pets_alive" ON "pets" USING btree ("owner_id") WHERE is_alive;--> statement-breakpoint
CREATE UNIQUE INDEX "pets_chip" ON "pets" USING btree ("chip");`,
  ],
  [
    '0001_skills',
    `CREATE TABLE "skills" (
	"code" varchar(8) PRIMARY KEY NOT NULL,
	"label" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "vet_skills" (
	"vet_id" bigint NOT NULL,
	"skill" varchar(8) NOT NULL,
	CONSTRAINT "vet_skills_vet_id_skill_pk" PRIMARY KEY("vet_id","skill")
);
--> statement-breakpoint
CREATE TABLE "billing"."invoices" (
	"number" text PRIMARY KEY NOT NULL,
	"visit_id" bigint,
	"total" numeric(10, 2) NOT NULL,
	"draft" boolean
);
--> statement-breakpoint
ALTER TABLE "vet_skills" ADD CONSTRAINT "vet_skills_vet_id_vets_id_fk" FOREIGN KEY ("vet_id") REFERENCES "public"."vets"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "vet_skills" ADD CONSTRAINT "vet_skills_skill_skills_code_fk" FOREIGN KEY ("skill") REFERENCES "public"."skills"("code") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "billing"."invoices" ADD CONSTRAINT "invoices_visit_id_visits_id_fk" FOREIGN KEY ("visit_id") REFERENCES "public"."visits"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE VIEW "public"."living_pets" AS (select "id", "name" from "pets" where "is_alive");`,
  ],
  [
    '0002_changes',
    `ALTER TABLE "billing"."invoices" DROP COLUMN "draft";--> statement-breakpoint
ALTER TABLE "vets" ALTER COLUMN "name" SET DEFAULT 'nobody';--> statement-breakpoint
ALTER TABLE "vets" ALTER COLUMN "name" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "skills" ADD COLUMN "rank" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "skills" RENAME COLUMN "rank" TO "grade";--> statement-breakpoint
ALTER TABLE "skills" ALTER COLUMN "grade" DROP NOT NULL;`,
  ],
];

function writeMigrations(): string {
  const folder = mkdtempSync(join(tmpdir(), 'varve-drizzle-'));
  mkdirSync(join(folder, 'meta'));
  const entries = MIGRATIONS.map(([tag, text], idx) => {
    writeFileSync(join(folder, `${tag}.sql`), text);
    return { idx, version: '7', when: 1_760_000_000_000 + idx, tag, breakpoints: true };
  });
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }));
  return folder;
}

type Db = NodePgDatabase<typeof schema>;

interface Driver {
  readonly db: Db;
  migrate(folder: string): Promise<void>;
  close(): Promise<void>;
}

function withPg({ url }: ClientsServer): Driver {
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  // The server's last word to connections that the pool is letting go.
  pool.on('error', () => undefined);
  const db = overPg(pool, { schema });
  return { db, migrate: (migrationsFolder) => migrateOverPg(db, { migrationsFolder }), close: () => pool.end() };
}

function withPostgresJs({ url, isPostgres }: ClientsServer): Driver {
  const plain = new URL(url);
  plain.search = '';
  const client = postgres(plain.href, {
    max: 3,
    onnotice: () => undefined,
    connection: isPostgres ? {} : ({ default_int_size: 4, serial_normalization: 'sql_sequence' } as object),
  });
  const db = overPostgresJs(client, { schema });
  // The two databases have the same builder over another client.
  return {
    db: db as unknown as Db,
    migrate: (migrationsFolder) => migrateOverPostgresJs(db, { migrationsFolder }),
    close: () => client.end(),
  };
}

interface Context {
  server: ClientsServer;
  driver: Driver;
  db: Db;
  folder: string;
}

for (const [name, connect] of [
  ['pg', withPg],
  ['postgres.js', withPostgresJs],
] as const) {
  const test = suite<Context>(`drizzle over ${name}`);

  test.before(async (context) => {
    context.folder = writeMigrations();
    context.server = await startClientsServer(`drizzle_${name.replace('.', '_')}`);
    context.driver = connect(context.server);
    context.db = context.driver.db;
  });

  test.after(async ({ driver, server, folder }) => {
    await driver.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('the migrator runs each file once', async ({ driver, db, folder }) => {
    await driver.migrate(folder);
    await driver.migrate(folder);
    const applied = await db.execute(sql`SELECT count(*)::int AS n FROM drizzle.__drizzle_migrations`);
    assert.equal(JSON.parse(JSON.stringify('rows' in applied ? applied.rows : applied)), [{ n: 3 }]);
  });

  test('rows of every column type go in and come back', async ({ db }) => {
    const inserted = await db
      .insert(owners)
      .values([
        { name: 'Ann', email: 'ann@example.org', phones: ['1', '2,3'], preferences: { reminders: false, hours: [8, 9] } },
        { name: 'Bob', since: '2021-05-06' },
      ])
      .returning();
    assert.equal(inserted, [
      {
        id: 1,
        name: 'Ann',
        email: 'ann@example.org',
        since: '2020-01-01',
        preferences: { reminders: false, hours: [8, 9] },
        phones: ['1', '2,3'],
      },
      { id: 2, name: 'Bob', email: null, since: '2021-05-06', preferences: { reminders: true }, phones: [] },
    ]);
    const born = new Date('2024-02-29T12:00:00.000Z');
    await db.insert(pets).values({ ownerId: 1, name: 'Rex', weight: 12.5, born, photo: Buffer.from([1, 0, 255]) });
    await db.insert(pets).values([
      { ownerId: 1, name: 'Mia', motherId: 1, legs: 3 },
      { ownerId: 2, name: 'Polly', legs: 2, isAlive: false },
    ]);
    const rex = await db.select().from(pets).where(eq(pets.id, 1));
    assert.equal(
      rex.map(({ chip, ...pet }) => ({ ...pet, chip: chip.length })),
      [
        {
          id: 1,
          ownerId: 1,
          motherId: null,
          name: 'Rex',
          weight: 12.5,
          legs: 4,
          born,
          photo: Buffer.from([1, 0, 255]),
          isAlive: true,
          slug: 'rex',
          chip: 36,
        },
      ],
    );
    await db.insert(vets).values([{ name: 'Dr. A', starts: '08:30:00' }, { name: 'Dr. B' }]);
    const [visit] = await db
      .insert(visits)
      .values({ petId: 1, vetId: 1, kind: 'surgery', day: '2026-01-02', price: '120.50', lasted: '1 hour 30 minutes' })
      .returning();
    assert.equal(visit, { id: 1n, petId: 1, vetId: 1, kind: 'surgery', day: '2026-01-02', price: '120.50', lasted: '01:30:00' });
    await db.insert(visits).values([
      { petId: 1, vetId: 2, day: '2026-02-03', price: '40' },
      { petId: 2, vetId: 1, kind: 'emergency', day: '2026-03-04', price: '300.00' },
    ]);
    await db.insert(skills).values([
      { code: 'cut', label: 'Surgery' },
      { code: 'pill', label: 'Medicine' },
    ]);
    await db.insert(vetSkills).values([
      { vetId: 1, skill: 'cut' },
      { vetId: 1, skill: 'pill' },
    ]);
    await db.insert(invoices).values({ number: '2026-1', visitId: 1n, total: 120.5 });
    assert.equal(await db.select().from(invoices), [{ number: '2026-1', visitId: 1n, total: 120.5 }]);
    assert.equal(await db.select().from(livingPets).orderBy(livingPets.id), [
      { id: 1, name: 'Rex' },
      { id: 2, name: 'Mia' },
    ]);
  });

  test('relations are read with one statement each', async ({ db }) => {
    const found = await db.query.owners.findMany({
      columns: { id: true, name: true },
      with: {
        pets: {
          columns: { name: true },
          with: {
            visits: {
              columns: { day: true, kind: true },
              with: { vet: { columns: { name: true } } },
              orderBy: [desc(visits.day)],
              limit: 1,
            },
          },
          orderBy: asc(pets.name),
          extras: { shout: sql<string>`upper(${pets.name})`.as('shout') },
        },
      },
      orderBy: owners.id,
    });
    assert.equal(found as unknown, [
      {
        id: 1,
        name: 'Ann',
        pets: [
          { name: 'Mia', shout: 'MIA', visits: [{ day: '2026-03-04', kind: 'emergency', vet: { name: 'Dr. A' } }] },
          { name: 'Rex', shout: 'REX', visits: [{ day: '2026-02-03', kind: 'checkup', vet: { name: 'Dr. B' } }] },
        ],
      },
      { id: 2, name: 'Bob', pets: [{ name: 'Polly', shout: 'POLLY', visits: [] }] },
    ]);
    const polly = await db.query.pets.findFirst({
      columns: { name: true },
      where: (pet, { eq: is }) => is(pet.name, 'Polly'),
      with: { owner: { columns: { name: true } }, mother: true },
    });
    assert.equal(polly as unknown, { name: 'Polly', owner: { name: 'Bob' }, mother: null });
    const busy = await db.query.vets.findMany({
      with: { skills: true },
      where: (vet, { exists: has }) => has(db.select({ one: sql`1` }).from(vetSkills).where(eq(vetSkills.vetId, vet.id))),
    });
    assert.equal(busy, [
      {
        id: 1,
        name: 'Dr. A',
        starts: '08:30:00',
        skills: [
          { vetId: 1, skill: 'cut' },
          { vetId: 1, skill: 'pill' },
        ],
      },
    ]);
  });

  test('joins, aggregates, common table expressions and set operations', async ({ db }) => {
    const perVet = await db
      .select({
        vet: vets.name,
        n: count(visits.id),
        sum: sum(visits.price),
        avg: sql<number>`${avg(visits.price)}::float8`,
        kinds: sql<string[]>`array_agg(distinct ${visits.kind} order by ${visits.kind})::text[]`,
      })
      .from(vets)
      .leftJoin(visits, eq(visits.vetId, vets.id))
      .groupBy(vets.id)
      .having(({ n }) => gt(n, 0))
      .orderBy(vets.name);
    assert.equal(perVet, [
      { vet: 'Dr. A', n: 2, sum: '420.50', avg: 210.25, kinds: ['surgery', 'emergency'] },
      { vet: 'Dr. B', n: 1, sum: '40.00', avg: 40, kinds: ['checkup'] },
    ]);
    const mothers = alias(pets, 'mothers');
    const family = await db
      .select({ child: pets.name, mother: mothers })
      .from(pets)
      .leftJoin(mothers, eq(mothers.id, pets.motherId))
      .where(or(isNull(pets.photo), ilike(pets.name, 'r%')))
      .orderBy(pets.id);
    assert.equal(
      family.map(({ child, mother }) => [child, mother?.name]),
      [
        ['Rex', undefined],
        ['Mia', 'Rex'],
        ['Polly', undefined],
      ],
    );
    const dear = db.$with('dear').as(
      db
        .select({ petId: visits.petId, total: sql<string>`sum(${visits.price})`.as('total') })
        .from(visits)
        .groupBy(visits.petId),
    );
    const named = await db
      .with(dear)
      .select({ name: pets.name, total: dear.total })
      .from(dear)
      .innerJoin(pets, eq(pets.id, dear.petId))
      .orderBy(desc(dear.total))
      .limit(1)
      .offset(1);
    assert.equal(named, [{ name: 'Rex', total: '160.50' }]);
    const names = await db
      .select({ name: owners.name })
      .from(owners)
      .union(db.select({ name: vets.name }).from(vets))
      .orderBy(sql`1`)
      .limit(3);
    assert.equal(names, [{ name: 'Ann' }, { name: 'Bob' }, { name: 'Dr. A' }]);
    const filtered = await db
      .select({ id: pets.id })
      .from(pets)
      .where(
        and(
          inArray(pets.id, [1, 2, 3]),
          ne(pets.legs, 2),
          between(pets.legs, 3, 4),
          exists(db.select().from(visits).where(eq(visits.petId, pets.id))),
        ),
      )
      .orderBy(pets.id);
    assert.equal(filtered, [{ id: 1 }, { id: 2 }]);
    assert.equal(
      await db
        .select({ id: owners.id })
        .from(owners)
        .where(arrayContains(owners.phones, ['2,3'])),
      [{ id: 1 }],
    );
    assert.equal(
      await db
        .selectDistinctOn([visits.petId], { pet: visits.petId, day: visits.day })
        .from(visits)
        .orderBy(visits.petId, desc(visits.day)),
      [
        { pet: 1, day: '2026-02-03' },
        { pet: 2, day: '2026-03-04' },
      ],
    );
    assert.is(await db.$count(pets, lt(pets.legs, 4)), 2);
    const lateral = db
      .select({ last: sql<string>`max(${visits.day})`.as('last') })
      .from(visits)
      .where(eq(visits.petId, pets.id))
      .as('lateral');
    assert.equal(
      await db.select({ name: pets.name, last: lateral.last }).from(pets).leftJoinLateral(lateral, sql`true`).orderBy(pets.id).limit(2),
      [
        { name: 'Rex', last: '2026-02-03' },
        { name: 'Mia', last: '2026-03-04' },
      ],
    );
  });

  test('upserts, updates from other tables, deletes', async ({ db }) => {
    const upsert = (label: string) =>
      db
        .insert(skills)
        .values({ code: 'xray', label })
        .onConflictDoUpdate({ target: skills.code, set: { label: sql`excluded.label` }, setWhere: sql`${skills.label} <> excluded.label` })
        .returning();
    assert.equal(
      [await upsert('X'), await upsert('X-ray'), await upsert('X-ray')],
      [[{ code: 'xray', label: 'X' }], [{ code: 'xray', label: 'X-ray' }], []],
    );
    await db.insert(skills).values({ code: 'xray', label: 'ignored' }).onConflictDoNothing();
    const raised = await db
      .update(visits)
      .set({ price: sql`${visits.price} * 2` })
      .from(pets)
      .where(and(eq(pets.id, visits.petId), eq(pets.name, 'Mia')))
      .returning({ price: visits.price });
    assert.equal(raised, [{ price: '600.00' }]);
    assert.equal(await db.delete(skills).where(eq(skills.code, 'xray')).returning({ code: skills.code }), [{ code: 'xray' }]);
  });

  test('transactions roll back whole or to a savepoint', async ({ db }) => {
    const failed = await errorOf(
      db.transaction(async (tx) => {
        await tx.delete(vetSkills);
        await tx.insert(owners).values({ name: 'Ann again', email: 'ann@example.org' });
      }),
    );
    const constraint = (failed as unknown as { constraint_name?: string }).constraint_name ?? failed.constraint;
    assert.equal([failed.code, constraint], ['23505', 'owners_email_unique']);
    assert.is(await db.$count(vetSkills), 2);
    await db.transaction(
      async (tx) => {
        await tx.insert(owners).values({ name: 'Carl' });
        await errorOf(
          tx.transaction(async (inner) => {
            await inner.delete(owners).where(eq(owners.name, 'Carl'));
            inner.rollback();
          }),
        );
      },
      { isolationLevel: 'serializable', accessMode: 'read write' },
    );
    assert.is(await db.$count(owners, eq(owners.name, 'Carl')), 1);
    const locked = await db.transaction((tx) =>
      tx.select({ id: pets.id }).from(pets).where(eq(pets.id, 1)).for('update', { noWait: true }),
    );
    assert.equal(locked, [{ id: 1 }]);
  });

  test('prepared statements with named placeholders', async ({ db }) => {
    const prepared = db
      .select({ name: pets.name })
      .from(pets)
      .where(eq(pets.legs, sql.placeholder('legs')))
      .orderBy(pets.id)
      .prepare('pets_by_legs');
    assert.equal([await prepared.execute({ legs: 4 }), await prepared.execute({ legs: 2 })], [[{ name: 'Rex' }], [{ name: 'Polly' }]]);
  });

  test.run();
}
