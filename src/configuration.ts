import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SmartVMError, messageOf, systemCode } from './errors.ts';
import type { BaseImageManagerOptions } from './options.ts';

const MAX_BYTES = 1024 * 1024;

/** Options that the environment decides where it names them. */
const VARIABLES = {
  cacheDir: 'SMARTVM_CACHE_DIR',
  bucketUrl: 'SMARTVM_BUCKET_URL',
  releasesUrl: 'SMARTVM_RELEASES_URL',
  mirrors: 'SMARTVM_MIRRORS',
} as const;

/**
 * What the user has configured, for `new BaseImageManager({ ...(await readConfiguration()), … })`: the file at `path`, else at
 * `$SMARTVM_CONFIG`, else `smartvm/config.json` in `$XDG_CONFIG_HOME` or `~/.config`. Nothing where that last one is not there. What an
 * environment variable names is left out, so that the variable decides.
 *
 * Rejects with `INVALID_BASE_IMAGE_OPTIONS`, naming the file and each field that is wrong; also for a file with `headers` that
 * others can read.
 */
export async function readConfiguration(path?: string): Promise<Partial<BaseImageManagerOptions>> {
  const { env } = process;
  const named = path || env['SMARTVM_CONFIG'];
  const place = named ? resolve(named) : defaultPath(env);
  if (place === undefined) return {};
  const file = await readSmall(place);
  if (file === undefined) {
    if (!named) return {};
    throw unusable(place, 'it is not there', 'Name another with SMARTVM_CONFIG, or leave that out.');
  }
  if (file.text.trim() === '') return {};
  const { optionsFrom } = await import('./configuration/schema.ts');
  const { options, problems } = optionsFrom(parse(file.text, place));
  if (problems.length > 0) {
    throw unusable(
      place,
      `it is not a configuration:\n  ${problems.join('\n  ')}`,
      'The fields and their rules are in schema/configuration.schema.json and docs/configuration.md.',
    );
  }
  if (options.headers !== undefined && (file.mode & 0o077) !== 0) {
    const mode = (file.mode & 0o777).toString(8).padStart(4, '0');
    throw unusable(
      place,
      `it has headers, which are secrets, and others can read it (mode ${mode})`,
      `chmod 600 '${place}'`,
    );
  }
  const decided = Object.entries(VARIABLES).flatMap(([option, variable]) => (env[variable] ? [option] : []));
  return Object.fromEntries(Object.entries(options).filter(([option]) => !decided.includes(option)));
}

/** `undefined` for a user without a home: containers run as users that nobody listed. */
function defaultPath(env: NodeJS.ProcessEnv): string | undefined {
  const xdg = env['XDG_CONFIG_HOME'];
  try {
    return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.config'), 'smartvm', 'config.json');
  } catch {
    return undefined;
  }
}

async function readSmall(path: string): Promise<{ readonly text: string; readonly mode: number } | undefined> {
  try {
    const handle = await open(path, 'r');
    try {
      const { mode, size } = await handle.stat();
      if (size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
      return { text: await handle.readFile('utf8'), mode };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw unusable(path, messageOf(error), 'Check that it is a file that this user may read.', error);
  }
}

/** Node's words for what is no JSON quote the text, and this one may have secrets in it. */
function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const [, position] = /at position (\d+)/.exec(messageOf(error)) ?? [];
    const line = position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
    throw unusable(path, `it is no JSON${line}`, 'Comments and commas at the end of a list are not allowed.');
  }
}

function unusable(path: string, why: string, hint: string, cause?: unknown): SmartVMError {
  return new SmartVMError(`Failed to read the configuration ${path}: ${why}`, 'INVALID_BASE_IMAGE_OPTIONS', {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
