/** The clinic's schema as Drizzle writes it down: enums, arrays, generated and identity columns, a schema of its own, a view, and relations. */
import { relations, sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  date,
  doublePrecision,
  foreignKey,
  index,
  integer,
  interval,
  jsonb,
  numeric,
  pgEnum,
  pgSchema,
  pgTable,
  pgView,
  primaryKey,
  serial,
  smallint,
  text,
  time,
  timestamp,
  unique,
  uniqueIndex,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';

export const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });
export const kind = pgEnum('visit_kind', ['checkup', 'surgery', 'emergency']);
export const billing = pgSchema('billing');

export const owners = pgTable('owners', {
  id: serial('id').primaryKey(),
  name: varchar('name', { length: 60 }).notNull(),
  email: text('email').unique(),
  since: date('since').notNull().default('2020-01-01'),
  preferences: jsonb('preferences').$type<{ reminders: boolean; hours?: number[] }>().notNull().default({ reminders: true }),
  phones: text('phones').array().notNull().default(sql`'{}'::text[]`),
});
export const pets = pgTable(
  'pets',
  {
    id: integer('id').primaryKey().generatedAlwaysAsIdentity(),
    ownerId: integer('owner_id')
      .notNull()
      .references(() => owners.id, { onDelete: 'cascade' }),
    motherId: integer('mother_id'),
    name: text('name').notNull(),
    weight: doublePrecision('weight'),
    legs: smallint('legs').notNull().default(4),
    born: timestamp('born', { withTimezone: true, mode: 'date' }),
    chip: uuid('chip').notNull().defaultRandom(),
    photo: bytea('photo'),
    isAlive: boolean('is_alive').notNull().default(true),
    slug: text('slug').generatedAlwaysAs(sql`lower(name)`),
  },
  (table) => [
    unique('pets_owner_name').on(table.ownerId, table.name),
    foreignKey({ columns: [table.motherId], foreignColumns: [table.id], name: 'pets_mother' }).onDelete('set null'),
    check('pets_legs', sql`${table.legs} >= 0`),
    index('pets_alive').on(table.ownerId).where(sql`is_alive`),
    uniqueIndex('pets_chip').on(table.chip),
  ],
);
export const vets = pgTable('vets', {
  id: bigserial('id', { mode: 'number' }).primaryKey(),
  name: text('name').notNull(),
  starts: time('starts'),
});
export const visits = pgTable('visits', {
  id: bigserial('id', { mode: 'bigint' }).primaryKey(),
  petId: integer('pet_id')
    .notNull()
    .references(() => pets.id),
  vetId: bigint('vet_id', { mode: 'number' }).references(() => vets.id),
  kind: kind('kind').notNull().default('checkup'),
  day: date('day').notNull(),
  price: numeric('price', { precision: 8, scale: 2 }).notNull(),
  lasted: interval('lasted'),
});
export const skills = pgTable('skills', { code: varchar('code', { length: 8 }).primaryKey(), label: text('label').notNull() });
export const vetSkills = pgTable(
  'vet_skills',
  {
    vetId: bigint('vet_id', { mode: 'number' })
      .notNull()
      .references(() => vets.id),
    skill: varchar('skill', { length: 8 })
      .notNull()
      .references(() => skills.code),
  },
  (table) => [primaryKey({ columns: [table.vetId, table.skill] })],
);
export const invoices = billing.table('invoices', {
  number: text('number').primaryKey(),
  visitId: bigint('visit_id', { mode: 'bigint' }).references(() => visits.id),
  total: numeric('total', { precision: 10, scale: 2, mode: 'number' }).notNull(),
});
export const livingPets = pgView('living_pets', { id: integer('id'), name: text('name') }).existing();

const ownersRelations = relations(owners, ({ many }) => ({ pets: many(pets) }));
const petsRelations = relations(pets, ({ one, many }) => ({
  owner: one(owners, { fields: [pets.ownerId], references: [owners.id] }),
  mother: one(pets, { fields: [pets.motherId], references: [pets.id], relationName: 'family' }),
  visits: many(visits),
}));
const visitsRelations = relations(visits, ({ one }) => ({
  pet: one(pets, { fields: [visits.petId], references: [pets.id] }),
  vet: one(vets, { fields: [visits.vetId], references: [vets.id] }),
}));
const vetsRelations = relations(vets, ({ many }) => ({ visits: many(visits), skills: many(vetSkills) }));
const vetSkillsRelations = relations(vetSkills, ({ one }) => ({ vet: one(vets, { fields: [vetSkills.vetId], references: [vets.id] }) }));
export const schema = {
  owners,
  pets,
  vets,
  visits,
  skills,
  vetSkills,
  invoices,
  ownersRelations,
  petsRelations,
  visitsRelations,
  vetsRelations,
  vetSkillsRelations,
};
