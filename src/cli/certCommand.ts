/**
 * `varve cert`: the files of --certs-dir, under CockroachDB's names.
 *
 *   create-ca      ca.crt, and the CA's key where --ca-key says
 *   create-node    node.crt, node.key for the hosts given
 *   create-client  client.<user>.crt, client.<user>.key
 *   list           what is there, for whom, and until when
 *
 * Keys are written for their owner's eyes only, and no file is replaced without --overwrite.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { SystemClock } from '../base/systemClock.ts';
import { normalizeUserName } from '../catalog/users.ts';
import { UsageError } from './cliError.ts';
import type { Command, CommandIo } from './command.ts';
import type { FlagDefinitions, Flags } from './flags.ts';
import { type CertificateRequest, issue, keyPem, newKey } from './x509.ts';

const FLAGS: FlagDefinitions = {
  'certs-dir': { type: 'string', value: 'DIR', default: 'certs', env: 'VARVE_CERTS_DIR', help: 'where certificates and keys go' },
  'ca-key': { type: 'string', value: 'FILE', help: "the CA's key: keep it away from servers (create-*; required)" },
  lifetime: { type: 'string', value: 'DURATION', help: 'how long it is valid (default 10 years for a CA, 5 for others)' },
  overwrite: { type: 'boolean', help: 'replace files that are there' },
  'allow-ca-key-reuse': { type: 'boolean', help: 'create-ca: use the key that is there already' },
};

const YEAR_MS = 365.25 * 86_400_000;
/** Clocks of other machines may be behind. */
const BACKDATE_MS = 86_400_000;
const DEFAULT_YEARS = { ca: 10, node: 5, client: 5 } as const;
const CA_NAME = 'Varve CA';

export const certCommand: Command = {
  name: 'cert',
  summary: 'make certificates for TLS',
  usage: 'varve cert create-ca|create-node HOST...|create-client USER|list --certs-dir DIR --ca-key FILE',
  flags: FLAGS,
  async run(flags, io) {
    const [what, ...names] = flags.positionals;
    switch (what) {
      case 'create-ca':
        await createCa(flags, io);
        return 0;
      case 'create-node':
        if (names.length === 0)
          throw new UsageError('create-node needs the names and addresses of the host', 'such as: localhost 127.0.0.1 ::1');
        await create(flags, io, { commonName: 'node', use: 'node', hosts: names }, 'node');
        return 0;
      case 'create-client': {
        if (names.length !== 1) throw new UsageError('create-client needs one user');
        const user = normalizeUserName(names[0] as string);
        await create(flags, io, { commonName: user, use: 'client' }, `client.${user}`);
        return 0;
      }
      case 'list':
        await list(flags, io);
        return 0;
      default:
        throw new UsageError(what === undefined ? 'cert needs to be told what to do' : `unknown command "cert ${what}"`);
    }
  },
};

function caKeyFile(flags: Flags): string {
  const file = flags.text('ca-key');
  if (file === undefined) throw new UsageError('--ca-key is required', 'the key that signs the others, such as --ca-key private/ca.key');
  return file;
}

const directoryOf = (flags: Flags): string => flags.text('certs-dir') ?? 'certs';

function validity(flags: Flags, use: CertificateRequest['use']): { from: Date; until: Date } {
  const now = new SystemClock().nowMicros() / 1000;
  const lifetime = flags.durationMicros('lifetime');
  const milliseconds = lifetime === undefined ? DEFAULT_YEARS[use] * YEAR_MS : lifetime / 1000;
  return { from: new Date(now - BACKDATE_MS), until: new Date(now + milliseconds) };
}

async function createCa(flags: Flags, io: CommandIo): Promise<void> {
  const file = caKeyFile(flags);
  const existing = flags.isSet('allow-ca-key-reuse') ? await readKey(file) : undefined;
  const key = existing ?? newKey();
  const directory = directoryOf(flags);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (!existing) {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await write(flags, io, file, keyPem(key), 0o600);
  }
  const request = { commonName: CA_NAME, use: 'ca', ...validity(flags, 'ca') } as const;
  await write(flags, io, join(directory, 'ca.crt'), issue(request, key, { commonName: CA_NAME, key }), 0o644);
}

async function create(flags: Flags, io: CommandIo, request: Omit<CertificateRequest, 'from' | 'until'>, base: string): Promise<void> {
  const file = caKeyFile(flags);
  const caKey = await readKey(file);
  if (!caKey) throw new UsageError(`there is no CA key at ${file}`, 'varve cert create-ca makes one');
  const directory = directoryOf(flags);
  const ca = new X509Certificate(await readFile(join(directory, 'ca.crt')));
  if (!ca.checkPrivateKey(caKey)) throw new UsageError(`${file} is not the key of ${join(directory, 'ca.crt')}`);
  const key = newKey();
  const certificate = issue({ ...request, ...validity(flags, request.use) }, key, { commonName: CA_NAME, key: caKey });
  await write(flags, io, join(directory, `${base}.crt`), certificate, 0o644);
  await write(flags, io, join(directory, `${base}.key`), keyPem(key), 0o600);
}

async function readKey(file: string): Promise<KeyObject | undefined> {
  try {
    return createPrivateKey(await readFile(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function write(flags: Flags, io: CommandIo, file: string, content: string, mode: number): Promise<void> {
  try {
    await writeFile(file, content, { mode, flag: flags.isSet('overwrite') ? 'w' : 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new UsageError(`${file} exists`, '--overwrite replaces it');
    throw error;
  }
  io.out(`wrote ${file}\n`);
}

async function list(flags: Flags, io: CommandIo): Promise<void> {
  const directory = directoryOf(flags);
  const files = (await readdir(directory)).filter((file) => file.endsWith('.crt')).sort();
  const rows = await Promise.all(
    files.map(async (file) => {
      const certificate = new X509Certificate(await readFile(join(directory, file)));
      const subject = /CN=(.*)/.exec(certificate.subject)?.[1] ?? '';
      const until = certificate.validToDate.toISOString().slice(0, 10);
      return [file, subject, until, (certificate.subjectAltName ?? '').replaceAll(/DNS:|IP Address:/g, '')];
    }),
  );
  const table = [['file', 'subject', 'valid until', 'hosts'], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  io.out(
    table
      .map(
        (row) =>
          `${row
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join('  ')
            .trimEnd()}\n`,
      )
      .join(''),
  );
}
