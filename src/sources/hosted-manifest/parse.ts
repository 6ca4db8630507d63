import { SmartVMError, messageOf } from '../../errors.ts';
import { hostedManifest, type HostedManifest } from './schema.ts';

const SHOWN_PROBLEMS = 20;

/**
 * Reads a manifest. `where` names it in errors.
 *
 * @throws SmartVMError `BASE_IMAGE_MANIFEST_FAILED` when it is no JSON text in UTF-8, `INVALID_BASE_IMAGE_MANIFEST` with every problem and its field
 *   when it is no manifest.
 */
export function parseManifest(bytes: Uint8Array, where: string): HostedManifest {
  const value = parseJson(bytes, where);
  const parsed = hostedManifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.length === 0 ? 'the manifest' : path.join('.')} ${plain(message)}`,
  );
  const more = problems.length > SHOWN_PROBLEMS ? [`and ${problems.length - SHOWN_PROBLEMS} more`] : [];
  throw new SmartVMError(
    `Failed to use the manifest ${where}:\n  ${[...problems.slice(0, SHOWN_PROBLEMS), ...more].join('\n  ')}`,
    'INVALID_BASE_IMAGE_MANIFEST',
    {
      cause: parsed.error,
      hint: 'The fields and their rules are in schema/hosted-manifest.schema.json and docs/sources.md.',
    },
  );
}

function parseJson(bytes: Uint8Array, where: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SmartVMError(
      `Failed to read the manifest ${where}: it is no JSON (${messageOf(cause).slice(0, 200)})`,
      'BASE_IMAGE_MANIFEST_FAILED',
      {
        cause,
        hint: 'Check the address; a page of a web site is often what comes instead.',
      },
    );
  }
}

/** The words of the schema library for wrong types, shortened to read behind a field's name. */
function plain(message: string): string {
  return message
    .replace(/^Invalid input: expected (\w+), received (\w+)$/, 'must be $1, is $2')
    .replace(/, is undefined$/, ', is missing');
}
