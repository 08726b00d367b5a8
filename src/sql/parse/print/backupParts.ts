/** What the statements of backups and of their schedules have in common, as SQL text: targets, locations, options. */
import { redactUri } from '../../../base/uriText.ts';
import type { BackupTargets, Expr, Option, UriList } from '../ast.ts';
import { printExpr } from './expr.ts';
import { printDotted, printNames, printTablePattern, quoteString } from './names.ts';
import type { PrintOptions } from './options.ts';

export const SECRET = "'*****'";
const secretOptions = new Set(['encryption_passphrase', 'password']);
const uriOptions = new Set(['kms', 'incremental_location', 'encryption_info_dir']);

export function targets(t: BackupTargets): string {
  switch (t.type) {
    case 'cluster':
      return '';
    case 'databases':
      return ` DATABASE ${printNames(t.names)}`;
    case 'tables':
      return ` TABLE ${t.patterns.map(printTablePattern).join(', ')}`;
    case 'systemUsers':
      return ' SYSTEM USERS';
  }
}

/** A storage location: what is secret in it shows only when it is asked for. */
export function uriText(uri: Expr, o: PrintOptions): string {
  const replaced = o.replace?.(uri);
  if (replaced !== undefined) return replaced;
  if (uri.kind === 'string' && o.showSecrets !== true) return quoteString(redactUri(uri.value));
  return printExpr(uri, o);
}

/** One URI bare, several in parentheses. */
export function uris(list: UriList, o: PrintOptions): string {
  const texts = list.map((uri) => uriText(uri, o));
  return texts.length === 1 ? (texts[0] as string) : `(${texts.join(', ')})`;
}

export function withOptions(options: readonly Option[], o: PrintOptions): string {
  if (options.length === 0) return '';
  const one = ({ name, value }: Option): string => {
    const label = name.includes(' ') ? name : printDotted(name);
    if (value === undefined) return label;
    if (secretOptions.has(name) && o.showSecrets !== true) return `${label} = ${SECRET}`;
    if (!uriOptions.has(name)) return `${label} = ${printExpr(value, o)}`;
    return `${label} = ${value.kind === 'tuple' ? `(${value.elements.map((uri) => uriText(uri, o)).join(', ')})` : uriText(value, o)}`;
  };
  return ` WITH ${options.map(one).join(', ')}`;
}
