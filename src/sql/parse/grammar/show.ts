/** SHOW of the catalog, the cluster, settings and session variables. Jobs and backups have families of their own. */
import type { Name, ObjectName, Option, RangesTarget, Show, Statement, ZoneTarget } from '../ast.ts';
import { T } from '../tokens.ts';
import { AccessParser } from './access.ts';
import type { Alternative } from './base.ts';
import type { Cursor } from './cursor.ts';
import { FamilyParser } from './base.ts';

type Unplaced<S> = S extends unknown ? Omit<S, 'kind' | 'pos'> : never;
type Shown = Unplaced<Show>;

export class ShowParser extends FamilyParser {
  private readonly access: AccessParser;

  constructor(c: Cursor) {
    super(c);
    this.access = new AccessParser(c);
    this.parts.push(this.access, this.access.functions);
  }

  readonly statement = this.rule('show', (): Statement => {
    const pos = this.pos;
    this.tok(T.SHOW);
    const show = (shown: Shown): Statement => ({ kind: 'show', ...shown, pos }) as Show;
    return this.choose<Statement>(
      [
        ...this.catalogForms().map(([lead, body]): Alternative<Statement> => [lead, () => show(body())]),
        ...this.clusterForms().map(([lead, body]): Alternative<Statement> => [lead, () => show(body())]),
        ...this.settingForms(pos),
        [[T.EXPERIMENTAL_FINGERPRINTS, T.FROM, T.TABLE], () => this.fingerprints(pos)],
      ],
      () => ({ kind: 'showVariable', variable: this.dottedName(), pos }),
    );
  });

  private fingerprints(pos: number): Statement {
    const table = this.objectName();
    const asOfPos = this.pos;
    const asOf = this.when([T.AS, T.OF, T.SYSTEM, T.TIME], () => ({ expr: this.expr(), pos: asOfPos }));
    return { kind: 'showFingerprints', table, asOf, pos };
  }

  private withComment(): boolean {
    return this.words(T.WITH, T.COMMENT);
  }

  private fromName(): ObjectName | undefined {
    return this.choose<ObjectName | undefined>(
      [
        [T.FROM, () => this.objectName()],
        [T.IN, () => this.objectName()],
      ],
      () => undefined,
    );
  }

  /** FROM t, with TABLE or without. */
  private ofTable(): ObjectName {
    this.choose<void>([
      [T.FROM, () => {}],
      [T.IN, () => {}],
    ]);
    this.has(T.TABLE);
    return this.objectName();
  }

  private catalogForms(): Alternative<Shown>[] {
    const indexes = (): Shown =>
      this.choose<Shown>(
        [
          [
            [T.FROM, T.DATABASE],
            () => {
              const database = this.objectName();
              return { what: 'databaseIndexes', database, withComment: this.withComment() };
            },
          ],
        ],
        () => {
          const table = this.ofTable();
          return { what: 'indexes', table, withComment: this.withComment() };
        },
      );
    const named = (what: 'sequences' | 'types' | 'enums' | 'functions') => (): Shown => ({ what, from: this.fromName() });
    const listed = (what: 'schemas' | 'tables') => (): Shown => {
      const from = this.fromName();
      return { what, from, withComment: this.withComment() };
    };
    return [
      [T.DATABASES, () => ({ what: 'databases', withComment: this.withComment() })],
      [T.SCHEMAS, listed('schemas')],
      [T.TABLES, listed('tables')],
      [
        T.COLUMNS,
        () => {
          const table = this.ofTable();
          return { what: 'columns', table, withComment: this.withComment() };
        },
      ],
      [T.INDEXES, indexes],
      [T.INDEX, indexes],
      [T.KEYS, indexes],
      [T.CONSTRAINTS, () => ({ what: 'constraints', table: this.ofTable() })],
      [T.CONSTRAINT, () => ({ what: 'constraints', table: this.ofTable() })],
      [T.PARTITIONS, () => ({ what: 'partitions', table: this.ofTable() })],
      [T.CREATE, () => this.create()],
      [T.SEQUENCES, named('sequences')],
      [T.TYPES, named('types')],
      [T.ENUMS, named('enums')],
      [T.FUNCTIONS, named('functions')],
      [T.USERS, () => ({ what: 'users' })],
      [T.ROLES, () => ({ what: 'roles' })],
      [T.GRANTS, () => this.grants()],
      [[T.SYSTEM, T.GRANTS], () => ({ what: 'systemGrants', grantees: this.when(T.FOR, () => this.list(() => this.role())) ?? [] })],
      [[T.DEFAULT, T.PRIVILEGES], () => ({ what: 'defaultPrivileges', ...this.access.shownDefaults() })],
      [
        [T.STATISTICS, T.FOR, T.TABLE],
        () => {
          return { what: 'statistics', format: undefined, table: this.objectName() };
        },
      ],
      [
        [T.STATISTICS, T.USING],
        () => {
          const format = this.name();
          this.toks(T.FOR, T.TABLE);
          return { what: 'statistics', format, table: this.objectName() };
        },
      ],
      [T.HISTOGRAM, () => ({ what: 'histogram', id: this.expr() })],
    ];
  }

  private create(): Shown {
    type CreateObject = Extract<Shown, { what: 'create' }>['object'];
    const of = (object: CreateObject) => (): Shown => ({ what: 'create', object, name: this.objectName() });
    return this.choose<Shown>(
      [
        [[T.ALL, T.TABLES], () => ({ what: 'createAll', objects: 'tables' })],
        [[T.ALL, T.SCHEMAS], () => ({ what: 'createAll', objects: 'schemas' })],
        [[T.ALL, T.TYPES], () => ({ what: 'createAll', objects: 'types' })],
        [T.TABLE, of('table')],
        [T.VIEW, of('view')],
        [T.SEQUENCE, of('sequence')],
        [T.DATABASE, of('database')],
        [T.SCHEMA, of('schema')],
        [T.TYPE, of('type')],
        [T.FUNCTION, () => ({ what: 'createFunction', function: this.access.functions.functionName() })],
      ],
      of('any'),
    );
  }

  private grants(): Shown {
    const roles = (): Name[] => this.list(() => this.role());
    return this.choose<Shown>(
      [
        [
          [T.ON, T.ROLE],
          () => {
            const named = this.recorder === undefined && !this.c.at(T.FOR) && !this.c.atEnd ? roles() : [];
            return { what: 'grantsOnRole', roles: named, members: this.when(T.FOR, roles) ?? [] };
          },
        ],
        [
          T.ON,
          () => {
            const target = this.access.grantTarget();
            return { what: 'grants', target, grantees: this.when(T.FOR, roles) ?? [] };
          },
        ],
        [T.FOR, () => ({ what: 'grants', target: undefined, grantees: roles() })],
      ],
      () => ({ what: 'grants', target: undefined, grantees: [] }),
    );
  }

  private clusterForms(): Alternative<Shown>[] {
    const activity = (what: 'sessions' | 'statements' | 'transactions', cluster: boolean, all: boolean) => (): Shown => ({
      what,
      cluster,
      all,
    });
    const activities: Alternative<Shown>[] = [];
    for (const all of [false, true]) {
      for (const scope of [undefined, T.CLUSTER, T.LOCAL]) {
        for (const [word, what] of [
          [T.SESSIONS, 'sessions'],
          [T.QUERIES, 'statements'],
          [T.STATEMENTS, 'statements'],
          [T.TRANSACTIONS, 'transactions'],
        ] as const) {
          const lead = [...(all ? [T.ALL] : []), ...(scope === undefined ? [] : [scope]), word];
          activities.push([lead, activity(what, scope !== T.LOCAL, all)]);
        }
      }
    }
    return [
      ...activities,
      [T.RANGES, () => this.ranges()],
      [[T.CLUSTER, T.RANGES], () => ({ what: 'ranges', target: { type: 'cluster' }, options: this.rangeOptions() })],
      [[T.RANGE, T.FROM], () => this.rangeForRow()],
      [T.LOCALITY, () => ({ what: 'locality' })],
      [T.SYNTAX, () => ({ what: 'syntax', sql: this.stringText() })],
      [[T.REGIONS, T.FROM, T.CLUSTER], () => ({ what: 'regions', of: 'cluster', database: undefined })],
      [[T.REGIONS, T.FROM, T.ALL, T.DATABASES], () => ({ what: 'regions', of: 'allDatabases', database: undefined })],
      [[T.REGIONS, T.FROM, T.DATABASE], () => ({ what: 'regions', of: 'database', database: this.databaseIfNamed() })],
      [T.REGIONS, () => ({ what: 'regions', of: undefined, database: undefined })],
      [[T.SURVIVAL, T.GOAL, T.FROM, T.DATABASE], () => ({ what: 'survivalGoal', database: this.databaseIfNamed() })],
      [[T.SUPER, T.REGIONS], () => this.refuse('super regions') as never],
      [[T.SAVEPOINT, T.STATUS], () => ({ what: 'savepointStatus' })],
      [[T.TRANSACTION, T.STATUS], () => ({ what: 'transactionStatus' })],
      [[T.LAST, T.QUERY, T.STATISTICS], () => ({ what: 'lastQueryStatistics' })],
    ];
  }

  private databaseIfNamed(): Name | undefined {
    if (this.recorder === undefined) return this.c.atName() ? this.name('database') : undefined;
    this.choose<Name | undefined>([], () => this.name());
    return undefined;
  }

  private ranges(): Shown {
    const target =
      this.when(T.FROM, () =>
        this.choose<RangesTarget>([
          [T.TABLE, () => ({ type: 'table', name: this.objectName() })],
          [T.INDEX, () => ({ type: 'index', index: this.indexName() })],
          [T.DATABASE, () => ({ type: 'database', name: this.name() })],
          [[T.CURRENT_CATALOG], () => ({ type: 'database', name: undefined })],
        ]),
      ) ?? ({ type: 'database', name: undefined } as const);
    return { what: 'ranges', target, options: this.rangeOptions() };
  }

  private rangeOptions(): Option[] {
    return (
      this.when(T.WITH, () =>
        this.list((): Option => {
          const pos = this.pos;
          return { name: this.label().text, value: undefined, pos };
        }),
      ) ?? []
    );
  }

  private rangeForRow(): Shown {
    const row = () => {
      this.toks(T.FOR, T.ROW);
      return this.parens(() => this.list(() => this.expr()));
    };
    return this.choose<Shown>([
      [
        T.TABLE,
        () => {
          const table = this.objectName();
          return { what: 'rangeForRow', table, index: undefined, row: row() };
        },
      ],
      [
        T.INDEX,
        () => {
          const { table, index, qualifier, pos } = this.indexName();
          return { what: 'rangeForRow', table: table ?? { parts: qualifier, pos }, index, row: row() };
        },
      ],
    ]);
  }

  // ---- settings, zones, variables -----------------------------------------------------------------

  private settingForms(pos: number): Alternative<Statement>[] {
    const settings = (list: 'all' | 'public') => (): Statement => ({ kind: 'showClusterSetting', setting: undefined, list, pos });
    const variable = (name: string) => (): Statement => ({ kind: 'showVariable', variable: name, pos });
    return [
      [[T.CLUSTER, T.SETTING, T.ALL], settings('all')],
      [[T.CLUSTER, T.SETTING], () => ({ kind: 'showClusterSetting', setting: this.dottedName(), list: undefined, pos })],
      [[T.CLUSTER, T.SETTINGS], settings('public')],
      [[T.ALL, T.CLUSTER, T.SETTINGS], settings('all')],
      [[T.PUBLIC, T.CLUSTER, T.SETTINGS], settings('public')],
      [[T.ZONE, T.CONFIGURATIONS], () => ({ kind: 'showZone', target: undefined, pos })],
      [[T.ALL, T.ZONE, T.CONFIGURATIONS], () => ({ kind: 'showZone', target: undefined, pos })],
      [[T.ZONE, T.CONFIGURATION], () => this.zone(pos)],
      [[T.TRANSACTION, T.ISOLATION, T.LEVEL], variable('transaction_isolation')],
      [[T.TRANSACTION, T.PRIORITY], variable('transaction_priority')],
      [[T.TIME, T.ZONE], variable('timezone')],
      [T.SESSION, () => ({ kind: 'showVariable', variable: this.dottedName(), pos })],
    ];
  }

  private zone(pos: number): Statement {
    this.choose<void>([
      [T.FOR, () => {}],
      [T.FROM, () => {}],
    ]);
    const at = this.pos;
    const target = this.choose<ZoneTarget>([
      [T.RANGE, () => ({ type: 'range', name: this.label(), pos: at })],
      [T.DATABASE, () => ({ type: 'database', name: this.name(), pos: at })],
      [T.TABLE, () => ({ type: 'table', name: this.objectName(), pos: at })],
      [T.INDEX, () => ({ type: 'index', index: this.indexName(), pos: at })],
      [
        T.PARTITION,
        () => {
          const partition = this.name();
          this.tok(T.OF);
          return this.choose<ZoneTarget>([
            [T.TABLE, () => ({ type: 'partition', partition, table: this.objectName(), index: undefined, pos: at })],
            [T.INDEX, () => ({ type: 'partition', partition, table: undefined, index: this.indexName(), pos: at })],
          ]);
        },
      ],
    ]);
    return { kind: 'showZone', target, pos };
  }
}
