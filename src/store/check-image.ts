import { SmartVMError } from '../errors.ts';
import type { ResolvedImage } from '../image.ts';
import { isBundleId, isPlainName } from '../image.ts';
import { artifactsOf } from './bundle-key.ts';
import { RECORD_NAME } from './record.ts';

/**
 * A source, of ours or of a caller, must not name files that leave the bundle or overwrite each other, nor promise what is
 * no digest and no size: names on disk are made of both.
 *
 * Throws `STORE_CORRUPT`.
 */
export function checkImage({ facts, artifacts }: ResolvedImage): void {
  const files = artifactsOf(artifacts).map(([, artifact]) => artifact);
  const names = files.map(({ fileName }) => fileName);
  if (!isBundleId(facts.bundleId)) throw unusable(`the bundleId ${quote(facts.bundleId)}`);
  const badName = names.find((name) => !isPlainName(name) || name.toLowerCase() === RECORD_NAME);
  if (badName !== undefined) throw unusable(`the file name ${quote(badName)}`);
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length) {
    throw unusable(`one name twice: ${names.map(quote).join(', ')}`);
  }
  for (const { fileName, sha256, bytes } of files) {
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
      throw unusable(`the SHA-256 ${quote(sha256)} for ${fileName}`);
    }
    if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= 0)) {
      throw unusable(`the size ${bytes} for ${fileName}`);
    }
  }
}

function unusable(what: string): SmartVMError {
  return new SmartVMError(`Failed to name the bundle: its source gave ${what}`, 'STORE_CORRUPT', {
    hint: `Ids and names are letters, digits, ".", "_" and "-", at most 128, all different, and not ${RECORD_NAME}; digests are 64 hex digits.`,
  });
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
