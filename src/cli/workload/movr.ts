/**
 * The movr workload: a fictional company that rents out vehicles in nine cities.
 *
 * Six tables with primary keys that begin with the city, and foreign keys between them. `rows` is
 * the number of rides; the other tables keep the proportions of the default data set. All names,
 * addresses and codes are put together here from short lists.
 *
 * Source of the schema: CockroachDB documentation, page "MovR: Vehicle-Sharing App".
 */
import { type Random, seededRandom } from '../../base/random.ts';
import { freshDatabase, inserts, type LoadStatement, type Workload } from './workload.ts';

const DEFAULT_RIDES = 500;
/** Rows of the other tables at DEFAULT_RIDES rides. */
const USERS = 50;
const VEHICLES = 15;
const LOCATIONS = 1000;
const PROMO_CODES = 1000;
const USER_PROMO_CODES = 5;

/** A city, and a point in it. */
const CITIES: readonly (readonly [name: string, latitude: number, longitude: number])[] = [
  ['amsterdam', 52.37, 4.9],
  ['boston', 42.36, -71.06],
  ['los angeles', 34.05, -118.24],
  ['new york', 40.71, -74.01],
  ['paris', 48.86, 2.35],
  ['rome', 41.9, 12.5],
  ['san francisco', 37.77, -122.42],
  ['seattle', 47.61, -122.33],
  ['washington dc', 38.91, -77.04],
];
const FIRST_NAMES = [
  'Ada',
  'Bruno',
  'Carla',
  'Dinh',
  'Elif',
  'Farid',
  'Greta',
  'Hugo',
  'Ines',
  'Jun',
  'Kofi',
  'Lena',
  'Milan',
  'Nora',
  'Omar',
];
const LAST_NAMES = [
  'Abel',
  'Berg',
  'Costa',
  'Duval',
  'Eriksen',
  'Fabre',
  'Goto',
  'Haddad',
  'Ito',
  'Jansen',
  'Keller',
  'Lima',
  'Moreau',
  'Novak',
];
const STREETS = [
  'Oak Street',
  'Mill Road',
  'Station Avenue',
  'Harbour Lane',
  'Garden Way',
  'Bridge Street',
  'Market Square',
  'Hill Crescent',
];
const VEHICLE_TYPES = ['bike', 'scooter', 'skateboard'] as const;
const BIKE_BRANDS = ['Merida', 'Fuji', 'Cervelo', 'Pinarello', 'Santa Cruz', 'Kona', 'Schwinn'];
const COLORS = ['red', 'blue', 'green', 'yellow', 'black'];
const STATUSES = ['available', 'in_use', 'lost'];
const ADJECTIVES = ['early', 'free', 'quick', 'sunny', 'loyal', 'weekend', 'first', 'night'];
const NOUNS = ['ride', 'trip', 'friend', 'mile', 'rider', 'city'];
/** Where the generated past begins. */
const EPOCH = Date.UTC(2026, 0, 1);
const HOUR_MILLIS = 3_600_000;

const SCHEMA: readonly string[] = [
  `CREATE TABLE movr.users (id UUID NOT NULL, city VARCHAR NOT NULL, name VARCHAR NULL, address VARCHAR NULL, credit_card VARCHAR NULL,
    CONSTRAINT users_pkey PRIMARY KEY (city, id))`,
  `CREATE TABLE movr.vehicles (id UUID NOT NULL, city VARCHAR NOT NULL, type VARCHAR NULL, owner_id UUID NULL, creation_time TIMESTAMP NULL,
    status VARCHAR NULL, current_location VARCHAR NULL, ext JSONB NULL,
    CONSTRAINT vehicles_pkey PRIMARY KEY (city, id),
    INDEX vehicles_auto_index_fk_city_ref_users (city, owner_id),
    CONSTRAINT fk_city_ref_users FOREIGN KEY (city, owner_id) REFERENCES movr.users (city, id))`,
  `CREATE TABLE movr.rides (id UUID NOT NULL, city VARCHAR NOT NULL, vehicle_city VARCHAR NULL, rider_id UUID NULL, vehicle_id UUID NULL,
    start_address VARCHAR NULL, end_address VARCHAR NULL, start_time TIMESTAMP NULL, end_time TIMESTAMP NULL, revenue DECIMAL(10,2) NULL,
    CONSTRAINT rides_pkey PRIMARY KEY (city, id),
    INDEX rides_auto_index_fk_city_ref_users (city, rider_id),
    INDEX rides_auto_index_fk_vehicle_city_ref_vehicles (vehicle_city, vehicle_id),
    CONSTRAINT fk_city_ref_users FOREIGN KEY (city, rider_id) REFERENCES movr.users (city, id),
    CONSTRAINT fk_vehicle_city_ref_vehicles FOREIGN KEY (vehicle_city, vehicle_id) REFERENCES movr.vehicles (city, id),
    CONSTRAINT check_vehicle_city_city CHECK (vehicle_city = city))`,
  `CREATE TABLE movr.vehicle_location_histories (city VARCHAR NOT NULL, ride_id UUID NOT NULL, "timestamp" TIMESTAMP NOT NULL, lat FLOAT8 NULL, long FLOAT8 NULL,
    CONSTRAINT vehicle_location_histories_pkey PRIMARY KEY (city, ride_id, "timestamp"),
    CONSTRAINT fk_city_ref_rides FOREIGN KEY (city, ride_id) REFERENCES movr.rides (city, id))`,
  `CREATE TABLE movr.promo_codes (code VARCHAR NOT NULL, description VARCHAR NULL, creation_time TIMESTAMP NULL, expiration_time TIMESTAMP NULL, rules JSONB NULL,
    CONSTRAINT promo_codes_pkey PRIMARY KEY (code))`,
  `CREATE TABLE movr.user_promo_codes (city VARCHAR NOT NULL, user_id UUID NOT NULL, code VARCHAR NOT NULL, "timestamp" TIMESTAMP NULL, usage_count INT8 NULL,
    CONSTRAINT user_promo_codes_pkey PRIMARY KEY (city, user_id, code),
    CONSTRAINT fk_city_ref_users FOREIGN KEY (city, user_id) REFERENCES movr.users (city, id))`,
];

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.int(list.length)] as T;
}

/** Row `index` of `count` lies in this city: equal shares, in order. */
function cityOf(index: number, count: number): (typeof CITIES)[number] {
  return CITIES[Math.floor((index * CITIES.length) / count)] as (typeof CITIES)[number];
}

/** Ids spread over the whole space in the order of their index, so that ranges split evenly. */
function uuid(index: number, count: number): string {
  const high = (BigInt(index) << 64n) / BigInt(Math.max(1, count));
  const text = `${high.toString(16).padStart(16, '0')}${index.toString(16).padStart(16, '0')}`;
  const versioned = `${text.slice(0, 12)}4${text.slice(13, 16)}8${text.slice(17)}`;
  return versioned.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function timestamp(hours: number): string {
  return new Date(EPOCH + hours * HOUR_MILLIS).toISOString().replace('T', ' ').replace('Z', '');
}

const address = (random: Random): string => `${1 + random.int(200)} ${pick(random, STREETS)}`;

/** The index of a row of `count` in the same city as row `index` of `of`; the city's share is never empty. */
function sameCity(random: Random, index: number, of: number, count: number): number {
  const city = Math.floor((index * CITIES.length) / of);
  const first = Math.ceil((city * count) / CITIES.length);
  const end = Math.ceil(((city + 1) * count) / CITIES.length);
  return first + random.int(Math.max(1, end - first));
}

function* load(rides: number, random: Random): Generator<LoadStatement> {
  const scaled = (count: number): number => Math.max(CITIES.length, Math.round((count * rides) / DEFAULT_RIDES));
  const users = scaled(USERS);
  const vehicles = scaled(VEHICLES);
  const locations = Math.max(1, Math.round((LOCATIONS * rides) / DEFAULT_RIDES));
  yield* inserts('movr.users', users, (index) => {
    const [city] = cityOf(index, users);
    const name = `${pick(random, FIRST_NAMES)} ${pick(random, LAST_NAMES)}`;
    const card = String(1_000_000_000 + random.int(1_000_000_000));
    return `'${uuid(index, users)}', '${city}', '${name}', '${address(random)}', '${card}'`;
  });
  yield* inserts('movr.vehicles', vehicles, (index) => {
    const [city] = cityOf(index, vehicles);
    const type = pick(random, VEHICLE_TYPES);
    const ext = type === 'bike' ? { brand: pick(random, BIKE_BRANDS), color: pick(random, COLORS) } : { color: pick(random, COLORS) };
    const owner = uuid(sameCity(random, index, vehicles, users), users);
    return `'${uuid(index, vehicles)}', '${city}', '${type}', '${owner}', '${timestamp(random.int(200))}', '${pick(random, STATUSES)}', '${address(random)}', '${JSON.stringify(ext)}'`;
  });
  yield* inserts('movr.rides', rides, (index) => {
    const [city] = cityOf(index, rides);
    const rider = uuid(sameCity(random, index, rides, users), users);
    const vehicle = uuid(sameCity(random, index, rides, vehicles), vehicles);
    const start = 200 + random.int(5000);
    const end = start + 1 + random.int(60);
    const revenue = (random.int(10_000) / 100).toFixed(2);
    return `'${uuid(index, rides)}', '${city}', '${city}', '${rider}', '${vehicle}', '${address(random)}', '${address(random)}', '${timestamp(start)}', '${timestamp(end)}', ${revenue}`;
  });
  yield* inserts('movr.vehicle_location_histories', locations, (index) => {
    const ride = Math.floor((index * rides) / locations);
    const [city, latitude, longitude] = cityOf(ride, rides);
    const near = (degrees: number): string => (degrees + (random.int(2000) - 1000) / 10_000).toFixed(4);
    return `'${city}', '${uuid(ride, rides)}', '${timestamp(200 + index / 60)}', ${near(latitude)}, ${near(longitude)}`;
  });
  const codes: string[] = [];
  yield* inserts('movr.promo_codes', PROMO_CODES, (index) => {
    const code = `${index}_${pick(random, ADJECTIVES)}_${pick(random, NOUNS)}`;
    codes.push(code);
    const start = random.int(1000);
    const rules = JSON.stringify({ type: 'percent_discount', value: `${5 * (1 + random.int(6))}%` });
    return `'${code}', 'a discount for the ${pick(random, ADJECTIVES)} ${pick(random, NOUNS)}', '${timestamp(start)}', '${timestamp(start + 24 * (1 + random.int(90)))}', '${rules}'`;
  });
  yield* inserts('movr.user_promo_codes', USER_PROMO_CODES, (index) => {
    const user = Math.floor((index * users) / USER_PROMO_CODES);
    return `'${cityOf(user, users)[0]}', '${uuid(user, users)}', '${pick(random, codes)}', '${timestamp(random.int(1000))}', ${1 + random.int(5)}`;
  });
}

export const movrWorkload: Workload = {
  name: 'movr',
  summary: 'vehicles for rent in nine cities',
  database: 'movr',
  table: 'movr.rides',
  defaultRows: DEFAULT_RIDES,
  *load({ rows, seed = 1, drop }) {
    yield* freshDatabase('movr', drop);
    for (const sql of SCHEMA) yield { sql, rows: 0 };
    yield* load(rows, seededRandom(`movr/${seed}`));
  },
  operation(random, rows) {
    const [city] = pick(random, CITIES);
    const ride = random.int(rows);
    switch (random.int(10)) {
      case 0:
        return `UPDATE movr.rides SET revenue = revenue + 1 WHERE city = '${cityOf(ride, rows)[0]}' AND id = '${uuid(ride, rows)}'`;
      case 1:
        return `UPDATE movr.vehicles SET status = '${pick(random, STATUSES)}' WHERE city = '${city}'`;
      default:
        return `SELECT id, type, status, current_location FROM movr.vehicles WHERE city = '${city}' LIMIT 25`;
    }
  },
};
