/** CREATE, ALTER, DROP of users and roles; GRANT and REVOKE, default privileges and what is owned. SHOW GRANTS shares the targets. */
import type { AlterDefaultPrivileges, AlterRole, GrantTarget, Name, ObjectName, Option, RoleName, Statement } from '../ast.ts';
import { T } from '../tokens.ts';
import type { Cursor } from './cursor.ts';
import { FunctionsParser } from './functions.ts';
import { TableDefParser } from './tableDef.ts';

export class AccessParser extends TableDefParser {
  readonly functions: FunctionsParser;

  constructor(c: Cursor) {
    super(c);
    this.functions = new FunctionsParser(c);
    this.parts.push(this.functions);
  }

  readonly statement = this.rule('access', (): Statement => {
    const pos = this.pos;
    return this.choose<Statement>([
      [[T.CREATE, T.USER], () => this.create(true, pos)],
      [[T.CREATE, T.ROLE], () => this.create(false, pos)],
      [[T.ALTER, T.USER], () => this.alter(true, pos)],
      [[T.ALTER, T.ROLE], () => this.alter(false, pos)],
      [[T.DROP, T.USER], () => this.drop(true, pos)],
      [[T.DROP, T.ROLE], () => this.drop(false, pos)],
      [T.GRANT, () => this.grant(pos)],
      [T.REVOKE, () => this.revoke(pos)],
      [[T.ALTER, T.DEFAULT, T.PRIVILEGES], () => this.defaultPrivileges(pos)],
      [
        [T.REASSIGN, T.OWNED, T.BY],
        () => {
          const owners = this.list(() => this.role());
          this.tok(T.TO);
          return { kind: 'reassignOwned', owners, newOwner: this.role(), pos };
        },
      ],
      [[T.DROP, T.OWNED, T.BY], () => ({ kind: 'dropOwned', owners: this.list(() => this.role()), behavior: this.behavior(), pos })],
    ]);
  });

  /** Who is created, altered or dropped: a name, or a placeholder for one. */
  private roleName(): RoleName {
    if (this.recorder !== undefined || !this.c.at(T.Placeholder)) return this.role();
    const pos = this.c.pos;
    return { text: '', pos, placeholder: this.expr() };
  }

  private create(isUser: boolean, pos: number): Statement {
    const ifNotExists = this.ifNotExists();
    const name = this.roleName();
    return { kind: 'createRole', isUser, name, ifNotExists, options: this.roleOptions(), pos };
  }

  private alter(isUser: boolean, pos: number): Statement {
    const none = { options: [] as Option[], inDatabase: undefined, set: undefined, reset: undefined };
    if (this.words(T.ALL)) {
      if (this.recorder === undefined)
        return { kind: 'alterRole', isUser, name: undefined, ifExists: false, ...none, ...this.roleSetting(), pos };
    }
    const ifExists = this.ifExists();
    const name = this.roleName();
    if (this.recorder === undefined && (this.c.at(T.SET) || this.c.at(T.RESET) || this.c.at(T.IN))) {
      return { kind: 'alterRole', isUser, name, ifExists, ...none, ...this.roleSetting(), pos };
    }
    return { kind: 'alterRole', isUser, name, ifExists, ...none, options: this.roleOptions(), pos };
  }

  private readonly roleSetting = this.rule('roleSetting', (): Pick<AlterRole, 'inDatabase' | 'set' | 'reset'> => {
    const inDatabase = this.when([T.IN, T.DATABASE], () => this.name());
    return this.choose<Pick<AlterRole, 'inDatabase' | 'set' | 'reset'>>([
      [
        T.SET,
        () => {
          const variable = this.dottedName();
          this.choose<void>([
            [T.Equal, () => {}],
            [T.TO, () => {}],
          ]);
          return { inDatabase, set: { variable, values: this.list(() => this.settingValue()) }, reset: undefined };
        },
      ],
      [[T.RESET, T.ALL], () => ({ inDatabase, set: undefined, reset: 'all' })],
      [T.RESET, () => ({ inDatabase, set: undefined, reset: this.dottedName() })],
    ]);
  });

  private drop(isUser: boolean, pos: number): Statement {
    const ifExists = this.ifExists();
    return { kind: 'dropRole', isUser, names: this.list(() => this.roleName()), ifExists, pos };
  }

  /** [WITH] LOGIN PASSWORD 'x' CREATEDB ... */
  private roleOptions(): Option[] {
    this.has(T.WITH);
    const options: Option[] = [];
    const password = (): void => {
      const at = this.pos;
      this.has(T.Equal);
      options.push({ name: 'password', value: this.expr(), pos: at });
    };
    this.repeat([
      [T.PASSWORD, password],
      [
        [T.VALID, T.UNTIL],
        () => {
          options.push({ name: 'valid until', value: this.expr(), pos: this.pos });
        },
      ],
    ]);
    if (this.recorder !== undefined) {
      this.recorder.repetition(() => this.label());
      return options;
    }
    while (!this.c.atEnd) {
      const pos = this.c.pos;
      if (this.c.accept(T.PASSWORD)) password();
      else if (this.c.at(T.VALID)) {
        this.toks(T.VALID, T.UNTIL);
        options.push({ name: 'valid until', value: this.expr(), pos });
      } else {
        const name = this.c.name().text;
        // ENCRYPTED PASSWORD, as pg_dumpall writes it, is PASSWORD.
        if (name !== 'encrypted' || !this.c.at(T.PASSWORD)) options.push({ name, value: undefined, pos });
      }
    }
    return options;
  }

  // ---- GRANT, REVOKE ------------------------------------------------------------------------------

  private grant(pos: number): Statement {
    const words = this.privilegesOrRoles();
    return this.choose<Statement>([
      [
        T.ON,
        () => {
          const target = this.grantTarget();
          this.tok(T.TO);
          const grantees = this.list(() => this.role());
          const withGrantOption = this.words(T.WITH, T.GRANT, T.OPTION);
          return { kind: 'grant', privileges: upper(words), target, grantees, withGrantOption, pos };
        },
      ],
      // GRANT SYSTEM BACKUP TO u.
      [
        T.TO,
        () => {
          const grantees = this.list(() => this.role());
          const system = systemPrivileges(words);
          if (system !== undefined) {
            const withGrantOption = this.words(T.WITH, T.GRANT, T.OPTION);
            return { kind: 'grant', privileges: system, target: { type: 'system' }, grantees, withGrantOption, pos };
          }
          return { kind: 'grantRole', roles: words, members: grantees, adminOption: this.words(T.WITH, T.ADMIN, T.OPTION), pos };
        },
      ],
    ]);
  }

  private revoke(pos: number): Statement {
    const grantOptionOnly = this.words(T.GRANT, T.OPTION, T.FOR);
    const adminOption = this.when([T.ADMIN, T.OPTION, T.FOR], () => true) ?? false;
    const words = this.privilegesOrRoles();
    return this.choose<Statement>([
      [
        T.ON,
        () => {
          const target = this.grantTarget();
          this.tok(T.FROM);
          return { kind: 'revoke', privileges: upper(words), target, grantees: this.list(() => this.role()), grantOptionOnly, pos };
        },
      ],
      [
        T.FROM,
        () => {
          const grantees = this.list(() => this.role());
          const system = systemPrivileges(words);
          if (system !== undefined)
            return { kind: 'revoke', privileges: system, target: { type: 'system' }, grantees, grantOptionOnly, pos };
          return { kind: 'revokeRole', roles: words, members: grantees, adminOption, pos };
        },
      ],
    ]);
  }

  // ---- default privileges -------------------------------------------------------------------------

  /** FOR ROLE a, b; FOR ALL ROLES; nothing for the user's own. */
  private defaultOwners(): Name[] | undefined {
    const roles = (): Name[] => this.list(() => this.role());
    return this.choose<Name[] | undefined>(
      [
        [[T.FOR, T.ALL, T.ROLES], () => undefined],
        [[T.FOR, T.ROLE], roles],
        [[T.FOR, T.USER], roles],
      ],
      () => [],
    );
  }

  private defaultPrivileges(pos: number): Statement {
    const roles = this.defaultOwners();
    const schemas = this.when([T.IN, T.SCHEMA], () => this.list(() => this.objectName())) ?? [];
    const on = (): AlterDefaultPrivileges['on'] => {
      this.tok(T.ON);
      return this.choose<AlterDefaultPrivileges['on']>([
        [T.TABLES, () => 'tables'],
        [T.SEQUENCES, () => 'sequences'],
        [T.TYPES, () => 'types'],
        [T.SCHEMAS, () => 'schemas'],
        [T.FUNCTIONS, () => this.refuse('default privileges on functions') as never],
        [T.ROUTINES, () => this.refuse('default privileges on functions') as never],
      ]);
    };
    return this.choose<Statement>([
      [
        T.GRANT,
        () => {
          const privileges = upper(this.privilegesOrRoles());
          const what = on();
          this.tok(T.TO);
          const grantees = this.list(() => this.role());
          const grantOption = this.words(T.WITH, T.GRANT, T.OPTION);
          return { kind: 'alterDefaultPrivileges', roles, schemas, command: 'grant', privileges, on: what, grantees, grantOption, pos };
        },
      ],
      [
        T.REVOKE,
        () => {
          const grantOption = this.words(T.GRANT, T.OPTION, T.FOR);
          const privileges = upper(this.privilegesOrRoles());
          const what = on();
          this.tok(T.FROM);
          const grantees = this.list(() => this.role());
          return { kind: 'alterDefaultPrivileges', roles, schemas, command: 'revoke', privileges, on: what, grantees, grantOption, pos };
        },
      ],
    ]);
  }

  /** SHOW DEFAULT PRIVILEGES, behind its words. */
  readonly shownDefaults = this.rule('shownDefaults', (): { roles: Name[] | undefined; schema: ObjectName | undefined } => {
    const roles = this.defaultOwners();
    return { roles, schema: this.when([T.IN, T.SCHEMA], () => this.objectName()) };
  });

  /** ALL [PRIVILEGES], SELECT, BACKUP, SYSTEM RESTORE, or role names: which it is shows only later. */
  private privilegesOrRoles(): Name[] {
    return this.list(() => {
      const word = this.label();
      if (this.recorder !== undefined) return word;
      if (word.text === 'all') this.c.accept(T.PRIVILEGES);
      if (this.c.at(T.LParen)) this.refuse('privileges on columns');
      if (word.text !== 'system') return word;
      const privilege = this.c.label();
      if (privilege.text === 'all') this.c.accept(T.PRIVILEGES);
      return { text: `system ${privilege.text}`, pos: word.pos };
    });
  }

  /** What privileges are on. Without a word, tables. */
  readonly grantTarget = this.rule('grantTarget', (): GrantTarget => {
    const objects = (): ObjectName[] => this.list(() => this.objectName());
    const allIn = (of: 'tables' | 'sequences' | 'functions') => (): GrantTarget => {
      this.toks(T.IN, T.SCHEMA);
      return { type: 'allIn', objects: of, schemas: objects() };
    };
    return this.choose<GrantTarget>(
      [
        [T.DATABASE, () => ({ type: 'database', names: objects() })],
        [T.SCHEMA, () => ({ type: 'schema', names: objects() })],
        [T.TYPE, () => ({ type: 'type', names: objects() })],
        [T.SEQUENCE, () => ({ type: 'sequence', names: objects() })],
        [T.FUNCTION, () => ({ type: 'function', functions: this.list(() => this.functions.functionName()) })],
        [[T.EXTERNAL, T.CONNECTION], () => ({ type: 'externalConnection', names: this.list(() => this.role()) })],
        [[T.ALL, T.TABLES], allIn('tables')],
        [[T.ALL, T.SEQUENCES], allIn('sequences')],
        [[T.ALL, T.FUNCTIONS], allIn('functions')],
        [T.TABLE, () => ({ type: 'table', patterns: this.list(() => this.tablePattern()) })],
      ],
      () => ({ type: 'table', patterns: this.list(() => this.tablePattern()) }),
    );
  });
}

const upper = (words: Name[]): string[] => words.map((word) => word.text.toUpperCase());

/** The privileges, when all of the words were SYSTEM ones (the first says it for the list). */
function systemPrivileges(words: Name[]): string[] | undefined {
  if (!words[0]?.text.startsWith('system ')) return undefined;
  return words.map((word) => word.text.replace(/^system /, '').toUpperCase());
}
