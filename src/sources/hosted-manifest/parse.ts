import { SmartVMError, messageOf } from '../../errors.ts';
import type { Arch } from '../../image.ts';
import { duplicateKey } from './duplicate-key.ts';
import type { HostedManifest } from './manifest.ts';
import { hostedManifest } from './schema.ts';
import { problemsOfUse, type ManifestOrigin } from './usable.ts';

const SHOWN_PROBLEMS = 20;

/**
 * Reads a manifest that is to be used for `arch`. `where` names it in errors.
 *
 * @throws SmartVMError `BASE_IMAGE_MANIFEST_FAILED` when it is no JSON text in UTF-8, `INVALID_BASE_IMAGE_MANIFEST` with every problem
 *   and its field when it is no manifest, or none that can be used here.
 */
export function parseManifest(bytes: Uint8Array, where: string, origin: ManifestOrigin, arch: Arch): HostedManifest {
  const { value, twice } = parseJson(bytes, where);
  const parsed = hostedManifest.safeParse(value);
  const unusable = problemsOfUse(value, origin, arch);
  if (parsed.success && unusable.length === 0 && twice === undefined) return parsed.data;
  const issues = parsed.error?.issues ?? [];
  const problems = [
    ...(twice === undefined ? [] : [`has the key ${JSON.stringify(twice.slice(0, 80))} twice in one object`]),
    ...issues.map(({ path, message }) => `${path.length === 0 ? 'the manifest' : path.join('.')} ${plain(message)}`),
    ...unusable,
  ];
  const more = problems.length > SHOWN_PROBLEMS ? [`and ${problems.length - SHOWN_PROBLEMS} more`] : [];
  const isAboutArch = problems.some((problem) => problem.startsWith('arch is '));
  throw new SmartVMError(
    `Failed to use the manifest ${where}:\n  ${[...problems.slice(0, SHOWN_PROBLEMS), ...more].join('\n  ')}`,
    'INVALID_BASE_IMAGE_MANIFEST',
    {
      ...(parsed.error === undefined ? {} : { cause: parsed.error }),
      hint: isAboutArch
        ? 'Ask for the arch of the manifest (--arch), or for a manifest of the other one.'
        : 'The fields and their rules are in schema/hosted-manifest.schema.json and docs/sources.md.',
    },
  );
}

function parseJson(bytes: Uint8Array, where: string): { readonly value: unknown; readonly twice: string | undefined } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (text.startsWith('\ufeff')) throw new Error('it begins with a byte order mark');
    return { value: JSON.parse(text) as unknown, twice: duplicateKey(text) };
  } catch (cause) {
    throw new SmartVMError(
      `Failed to read the manifest ${where}: it is no JSON in UTF-8 (${messageOf(cause).slice(0, 200)})`,
      'BASE_IMAGE_MANIFEST_FAILED',
      { cause, hint: 'Check the address; a page of a web site is often what comes instead.' },
    );
  }
}

/** The words of the schema library for wrong types, shortened to read behind a field's name. */
function plain(message: string): string {
  return message
    .replace(/^Invalid input: expected (\w+), received (\w+)$/, 'must be $1, is $2')
    .replace(/, is undefined$/, ', is missing');
}
