/** A school through TypeORM, by its `postgres` and its `cockroachdb` driver: schemas it makes, changes and finds unchanged. */
import 'reflect-metadata';
import {
  DataSource,
  type DataSourceOptions,
  EntitySchema,
  In,
  LessThan,
  Like,
  type MigrationInterface,
  type QueryRunner,
  Table,
  TableColumn,
} from 'typeorm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

import { type ClientsServer, errorOf, startClientsServer } from './support.ts';

interface School {
  id: number;
  name: string;
  address: { city: string; zip?: string } | null;
  courses: Course[];
}
interface Course {
  id: number;
  title: string;
  level: 'basic' | 'advanced';
  fee: string;
  starts: Date;
  day: string;
  tags: string[];
  school: School;
  students: Student[];
}
interface Student {
  id: string;
  email: string;
  name: { first: string; last: string };
  born: string | null;
  isActive: boolean;
  photo: Buffer | null;
  score: number | null;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  deletedAt: Date | null;
  courses: Course[];
  mentor: Student | null;
  grades: Grade[];
}
interface Grade {
  studentId: string;
  courseId: number;
  points: number;
  student: Student;
  course: Course;
}
interface Room {
  id: number;
  label: string;
  parent: Room | null;
  children: Room[];
}

const NameEmbedded = new EntitySchema<{ first: string; last: string }>({
  name: 'Name',
  columns: { first: { type: 'varchar', length: 40 }, last: { type: 'varchar', length: 40 } },
});
const SchoolEntity = new EntitySchema<School>({
  name: 'School',
  tableName: 'school',
  columns: {
    id: { type: Number, primary: true, generated: 'increment' },
    name: { type: 'varchar', length: 80, unique: true },
    address: { type: 'jsonb', nullable: true },
  },
  relations: { courses: { type: 'one-to-many', target: 'Course', inverseSide: 'school', cascade: true } },
});
const CourseEntity = new EntitySchema<Course>({
  name: 'Course',
  tableName: 'course',
  columns: {
    id: { type: Number, primary: true, generated: 'increment' },
    title: { type: String },
    level: { type: 'enum', enum: ['basic', 'advanced'], default: 'basic' },
    fee: { type: 'decimal', precision: 8, scale: 2, default: 0 },
    starts: { type: 'timestamptz', default: () => 'now()' },
    day: { type: 'date' },
    tags: { type: 'text', array: true },
  },
  relations: {
    school: { type: 'many-to-one', target: 'School', inverseSide: 'courses', onDelete: 'CASCADE', nullable: false },
    students: { type: 'many-to-many', target: 'Student', inverseSide: 'courses' },
  },
  indices: [{ name: 'IDX_course_day', columns: ['day', 'title'] }],
  checks: [{ name: 'CHK_course_fee', expression: '"fee" >= 0' }],
});
const StudentEntity = new EntitySchema<Student>({
  name: 'Student',
  tableName: 'student',
  columns: {
    id: { type: 'uuid', primary: true, generated: 'uuid' },
    email: { type: 'varchar' },
    born: { type: 'date', nullable: true },
    isActive: { type: 'boolean', default: true },
    photo: { type: 'bytea', nullable: true },
    score: { type: 'float', nullable: true },
    version: { type: 'int', version: true },
    createdAt: { type: 'timestamptz', createDate: true },
    updatedAt: { type: 'timestamptz', updateDate: true },
    deletedAt: { type: 'timestamptz', deleteDate: true, nullable: true },
  },
  embeddeds: { name: { schema: NameEmbedded, prefix: 'name_' } },
  relations: {
    courses: { type: 'many-to-many', target: 'Course', inverseSide: 'students', joinTable: { name: 'enrolment' } },
    mentor: { type: 'many-to-one', target: 'Student', nullable: true },
    grades: { type: 'one-to-many', target: 'Grade', inverseSide: 'student' },
  },
  uniques: [{ name: 'UQ_student_email', columns: ['email'] }],
  indices: [{ name: 'IDX_student_active', columns: ['isActive'], where: '"deletedAt" IS NULL' }],
});
const GradeEntity = new EntitySchema<Grade>({
  name: 'Grade',
  tableName: 'grade',
  columns: {
    studentId: { type: 'uuid', primary: true },
    courseId: { type: 'int', primary: true },
    points: { type: 'smallint', default: 0 },
  },
  relations: {
    student: { type: 'many-to-one', target: 'Student', inverseSide: 'grades', joinColumn: { name: 'studentId' }, onDelete: 'CASCADE' },
    course: { type: 'many-to-one', target: 'Course', joinColumn: { name: 'courseId' } },
  },
});
const RoomEntity = new EntitySchema<Room>({
  name: 'Room',
  tableName: 'room',
  columns: { id: { type: Number, primary: true, generated: 'increment' }, label: { type: 'varchar', length: 20, comment: 'on the door' } },
  relations: {
    parent: { type: 'many-to-one', target: 'Room', nullable: true, treeParent: true },
    children: { type: 'one-to-many', target: 'Room', inverseSide: 'parent', treeChildren: true },
  },
  trees: [{ type: 'closure-table' }],
});

class AddBooks1760000000000 implements MigrationInterface {
  name = 'AddBooks1760000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'book',
        columns: [
          { name: 'id', type: 'int', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
          { name: 'title', type: 'varchar', length: '100' },
          { name: 'course_id', type: 'int', isNullable: true },
        ],
        foreignKeys: [
          {
            name: 'FK_book_course',
            columnNames: ['course_id'],
            referencedTableName: 'course',
            referencedColumnNames: ['id'],
            onDelete: 'SET NULL',
          },
        ],
        indices: [{ name: 'IDX_book_title', columnNames: ['title'], isUnique: true }],
      }),
    );
    await runner.addColumn('book', new TableColumn({ name: 'pages', type: 'int', default: 0 }));
    await runner.renameColumn('book', 'pages', 'length');
    await runner.query(`INSERT INTO book (title) VALUES ('Algebra')`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropColumn('book', 'length');
    await runner.dropTable('book');
  }
}

interface Context {
  server: ClientsServer;
  source: DataSource;
}

const DRIVERS = process.env['PG_ORACLE_URL'] ? (['postgres'] as const) : (['postgres', 'cockroachdb'] as const);

for (const type of DRIVERS) {
  const test = suite<Context>(`typeorm by ${type}`);

  test.before(async (context) => {
    context.server = await startClientsServer(`typeorm_${type}`, { postgresDefaults: type === 'postgres' });
    const { host, port, user, database } = context.server;
    const options: DataSourceOptions = {
      type,
      host,
      port,
      username: user,
      database,
      entities: [SchoolEntity, CourseEntity, StudentEntity, GradeEntity, RoomEntity],
      migrations: [AddBooks1760000000000],
      // The server's last word to connections that the pool is letting go.
      poolErrorHandler: () => undefined,
      ...(type === 'postgres' && !context.server.isPostgres
        ? { extra: { options: '-c default_int_size=4 -c serial_normalization=sql_sequence -c catalog_expressions=postgres' } }
        : {}),
      ...(type === 'cockroachdb' ? { timeTravelQueries: false } : {}),
    } as DataSourceOptions;
    context.source = await new DataSource(options).initialize();
  });

  test.after(async ({ source, server }) => {
    await source.destroy();
    await server.close();
  });

  test('the schema is made, and found as it was made', async ({ source }) => {
    await source.synchronize();
    const differences = await source.driver.createSchemaBuilder().log();
    assert.equal(
      differences.upQueries.map((query) => query.query),
      [],
    );
    await source.synchronize();
    const runner = source.createQueryRunner();
    const course = await runner.getTable('course');
    assert.equal(
      course?.columns.map((column) => [column.name, column.isNullable, column.isPrimary, column.isGenerated, column.isArray]),
      [
        ['id', false, true, true, false],
        ['title', false, false, false, false],
        ['level', false, false, false, false],
        ['fee', false, false, false, false],
        ['starts', false, false, false, false],
        ['day', false, false, false, false],
        ['tags', false, false, false, true],
        ['schoolId', false, false, false, false],
      ],
    );
    assert.equal(
      [
        course?.checks.map((check) => check.name),
        course?.indices.some((index) => index.name === 'IDX_course_day'),
        course?.foreignKeys.length,
      ],
      [['CHK_course_fee'], true, 1],
    );
    await runner.release();
  });

  test('a changed entity changes its table, and its rows stay', async ({ source }) => {
    await source.query(`INSERT INTO room (label) VALUES ('cellar')`);
    const runner = source.createQueryRunner();
    await runner.addColumn('room', new TableColumn({ name: 'floor', type: 'int', isNullable: true }));
    await runner.changeColumn('room', 'floor', new TableColumn({ name: 'level', type: 'int', isNullable: true, default: '1' }));
    await source.synchronize();
    const room = await runner.getTable('room');
    assert.not(room?.findColumnByName('level'));
    assert.equal(await source.query('SELECT label FROM room'), [{ label: 'cellar' }]);
    await source.query('DELETE FROM room');
    await runner.release();
  });

  test('migrations run once, and are undone', async ({ source }) => {
    assert.equal(
      (await source.runMigrations()).map((migration) => migration.name),
      ['AddBooks1760000000000'],
    );
    assert.equal(await source.runMigrations(), []);
    assert.equal(await source.query('SELECT title, length FROM book'), [{ title: 'Algebra', length: type === 'postgres' ? 0 : '0' }]);
    await source.undoLastMigration();
    assert.is((await errorOf(source.query('SELECT * FROM book'))).code, '42P01');
  });

  test('entities with relations are saved and found', async ({ source }) => {
    const schools = source.getRepository(SchoolEntity);
    const students = source.getRepository(StudentEntity);
    const school = await schools.save({
      name: 'North',
      address: { city: 'Bern' },
      courses: [
        { title: 'Maths', level: 'advanced', fee: '120.50', day: '2026-09-01', tags: ['numbers', 'a,b'] },
        { title: 'Music', day: '2026-09-02', tags: [] as string[] },
      ] as Course[],
    });
    const [maths, music] = school.courses as [Course, Course];
    const ann = await students.save({
      email: 'ann@example.org',
      name: { first: 'Ann', last: 'A' },
      born: '2010-05-06',
      photo: Buffer.from([0, 255]),
      score: 1.5,
      courses: [maths, music],
    });
    const bob = await students.save({ email: 'bob@example.org', name: { first: 'Bob', last: 'B' }, mentor: ann, courses: [maths] });
    assert.equal([ann.version, ann.isActive, ann.id.length, ann.createdAt instanceof Date], [1, true, 36, true]);
    await source.getRepository(GradeEntity).save([
      { studentId: ann.id, courseId: maths.id, points: 5 },
      { studentId: bob.id, courseId: maths.id, points: 3 },
    ]);
    const found = await schools.findOneOrFail({
      where: { name: 'North' },
      relations: { courses: { students: { mentor: true } } },
      order: { courses: { title: 'ASC', students: { email: 'ASC' } } },
    });
    assert.equal(
      found.courses.map((course) => [
        course.title,
        course.level,
        course.fee,
        course.day,
        course.tags,
        course.students.map((student) => [student.email, student.mentor?.email]),
      ]),
      [
        [
          'Maths',
          'advanced',
          '120.50',
          '2026-09-01',
          ['numbers', 'a,b'],
          [
            ['ann@example.org', undefined],
            ['bob@example.org', 'ann@example.org'],
          ],
        ],
        ['Music', 'basic', '0.00', '2026-09-02', [], [['ann@example.org', undefined]]],
      ],
    );
    assert.equal(found.address, { city: 'Bern' });
    bob.name.first = 'Robert';
    bob.courses = [music];
    const saved = await students.save(bob);
    assert.is(saved.version, 2);
    const [page, total] = await students.findAndCount({
      where: [{ email: Like('%example.org'), score: LessThan(2) }, { id: In([bob.id]) }],
      order: { email: 'DESC' },
      skip: 0,
      take: 1,
    });
    assert.equal([page[0]?.name.first, page[0]?.photo, total], ['Robert', null, 2]);
    await students.softRemove(bob);
    assert.equal([await students.count(), await students.count({ withDeleted: true })], [1, 2]);
    await students.restore(bob.id);
    assert.is(await students.count(), 2);
    const annAgain = await students.findOneByOrFail({ id: ann.id });
    assert.equal([annAgain.photo, annAgain.score, annAgain.born], [Buffer.from([0, 255]), 1.5, '2010-05-06']);
  });

  test('the query builder joins, groups, pages and locks', async ({ source }) => {
    const sums = await source
      .createQueryBuilder(StudentEntity, 'student')
      .leftJoin('student.grades', 'grade')
      .select('student.email', 'email')
      .addSelect('SUM(grade.points)', 'points')
      .addSelect('COUNT(*)', 'n')
      .where('student.email LIKE :pattern', { pattern: '%@example.org' })
      .groupBy('student.email')
      .having('SUM(grade.points) > :least', { least: 1 })
      .orderBy('points', 'DESC')
      .getRawMany();
    assert.equal(sums, [
      { email: 'ann@example.org', points: '5', n: '1' },
      { email: 'bob@example.org', points: '3', n: '1' },
    ]);
    const [courses, count] = await source
      .createQueryBuilder(CourseEntity, 'course')
      .leftJoinAndSelect('course.students', 'student')
      .where((qb) => `course.id IN ${qb.subQuery().select('grade.courseId').from(GradeEntity, 'grade').getQuery()}`)
      .orderBy('course.title')
      .take(5)
      .getManyAndCount();
    assert.equal([courses.map((course) => [course.title, course.students.length]), count], [[['Maths', 1]], 1]);
    const updated = await source
      .createQueryBuilder()
      .update(CourseEntity)
      .set({ fee: () => '"fee" + 10' })
      .where('title = :title', { title: 'Maths' })
      .returning(['fee'])
      .execute();
    assert.equal([updated.affected, updated.raw], [1, [{ fee: '130.50' }]]);
    await source
      .createQueryBuilder()
      .insert()
      .into(SchoolEntity)
      .values([{ name: 'North', address: { city: 'Thun' } }, { name: 'South' }])
      .orUpdate(['address'], ['name'])
      .execute();
    assert.equal(await source.getRepository(SchoolEntity).find({ select: { name: true, address: true }, order: { name: 'ASC' } }), [
      { name: 'North', address: { city: 'Thun' } },
      { name: 'South', address: null },
    ]);
    const stream = await source.createQueryBuilder(StudentEntity, 'student').select(['student.email']).orderBy('student.email').stream();
    const emails: string[] = [];
    for await (const row of stream) emails.push((row as { student_email: string }).student_email);
    assert.equal(emails, ['ann@example.org', 'bob@example.org']);
  });

  test('transactions nest, and errors carry what the server said', async ({ source }) => {
    const failed = await errorOf(
      source.transaction(async (manager) => {
        await manager.createQueryBuilder().delete().from(GradeEntity).execute();
        await manager.insert(StudentEntity, { email: 'ann@example.org', name: { first: 'X', last: 'Y' } });
      }),
    );
    const { code, constraint, table } = (failed as unknown as { driverError: typeof failed }).driverError ?? failed;
    assert.equal([code, constraint, table], ['23505', 'UQ_student_email', 'student']);
    assert.is(await source.getRepository(GradeEntity).count(), 2);
    await source.transaction('SERIALIZABLE', async (manager) => {
      await manager.insert(SchoolEntity, { name: 'East' });
      await errorOf(
        manager.transaction(async (inner) => {
          await inner.delete(SchoolEntity, { name: 'East' });
          throw new Error('no');
        }),
      );
      await manager.findOne(SchoolEntity, { where: { name: 'East' }, lock: { mode: 'pessimistic_write' } });
    });
    assert.is(await source.getRepository(SchoolEntity).countBy({ name: 'East' }), 1);
  });

  test('trees by a closure table', async ({ source }) => {
    const rooms = source.getTreeRepository(RoomEntity);
    const house = await rooms.save({ label: 'house' } as Room);
    const attic = await rooms.save({ label: 'attic', parent: house } as Room);
    await rooms.save({ label: 'box', parent: attic } as Room);
    assert.is(await rooms.countDescendants(house), 3);
    const [tree] = await rooms.findTrees();
    assert.is(tree?.children[0]?.children[0]?.label, 'box');
  });

  test.run();
}
