/**
 * nginx and Caddy with the configurations of docs/storage.md, on ports and in a folder of the test. What is added
 * here is what an installation has around them: where the process keeps its own files, and who it runs as.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { freePort, type ServerUnderTest, startProgram } from './process.ts';

const run = promisify(execFile);
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'storage.md');
const USER = 'backup:hunter2';

/** A file of the page, below `folder` in place of /srv/varve. */
async function fileOfPage(name: string, folder: string): Promise<string> {
  const match = new RegExp(`<!-- file: ${name} -->\\n\`\`\`\\w+\\n(.*?)\`\`\``, 's').exec(await readFile(PAGE, 'utf8'));
  if (!match?.[1]) throw new Error(`docs/storage.md has no file ${name}`);
  return match[1].replaceAll('/srv/varve', folder);
}

/** `text` with each of the pieces replaced; a piece that is not there is an error, for the page has changed. */
function replaced(text: string, pieces: Readonly<Record<string, string>>): string {
  return Object.entries(pieces).reduce((rest, [from, to]) => {
    if (!rest.includes(from)) throw new Error(`docs/storage.md no longer says ${JSON.stringify(from)}`);
    return rest.replace(from, () => to);
  }, text);
}

async function startNginxWith(folder: string, server: string, port: number | undefined) {
  // The workers of a server that root starts run as its user, and must reach the files.
  await chmod(folder, 0o755);
  const setup = await fileOfPage('setup.sh', folder);
  const isRoot = process.getuid?.() === 0;
  await run('sh', ['-ec', isRoot ? setup : setup.replace(/^chown .*$/m, '')]);
  await mkdir(join(folder, 'nginx'), { recursive: true });
  const temporary = ['proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/nginx/${kind};`).join(' ');
  const config = join(folder, 'nginx.conf');
  await writeFile(
    config,
    `${isRoot ? 'user www-data;' : ''} daemon off; pid ${folder}/nginx/pid; error_log stderr;
events {}
http { access_log off; ${temporary}
${server}}
`,
  );
  return await startProgram('nginx', ['-p', folder, '-e', 'stderr', '-c', config], port === undefined ? {} : { port });
}

export async function startNginx(folder: string): Promise<ServerUnderTest> {
  const port = await freePort();
  const server = replaced(await fileOfPage('nginx.conf', folder), { 'listen 20150;': `listen 127.0.0.1:${port};` });
  const nginx = await startNginxWith(folder, server, port);
  return { uri: (name) => `http://${USER}@127.0.0.1:${port}/${name}`, stop: () => nginx.stop() };
}

/** Over TLS with Caddy's own certificate authority. */
export async function startCaddy(folder: string): Promise<ServerUnderTest> {
  const socket = `${folder}/nginx.sock`;
  const behind = replaced(await fileOfPage('nginx.conf', folder), {
    'listen 20150;': `listen unix:${socket};`,
    'auth_basic "varve";': '',
    [`auth_basic_user_file ${folder}/htpasswd;`]: '',
  });
  const nginx = await startNginxWith(folder, behind, undefined);
  const port = await freePort();
  const site = replaced(await fileOfPage('Caddyfile', folder), { 'backups.example.com {': `localhost:${port} {\n  tls internal` });
  const config = join(folder, 'Caddyfile');
  await writeFile(config, `{\n  admin off\n  skip_install_trust\n  auto_https disable_redirects\n  default_bind 127.0.0.1\n}\n${site}`);
  try {
    const data = join(folder, 'caddy');
    await mkdir(data);
    const environment = { XDG_DATA_HOME: data, XDG_CONFIG_HOME: data, HOME: data };
    const caddy = await startProgram('caddy', ['run', '--adapter', 'caddyfile', '--config', config], { port, env: environment });
    return {
      uri: (name) => `https://${USER}@localhost:${port}/${name}`,
      customCa: await readFile(join(data, 'caddy/pki/authorities/local/root.crt'), 'utf8'),
      stop: async () => {
        await caddy.stop();
        await nginx.stop();
      },
    };
  } catch (error) {
    await nginx.stop();
    throw error;
  }
}
