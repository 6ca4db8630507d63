import { SmartVMError } from './errors.ts';
import type { ImageReference } from './image.ts';

/** Names of sets in Firecracker's CI bucket: presets, `vX.Y`, and dated sets, whole or by their day. */
const CI_SET = /^(?:latest|stable|lts|v\d+\.\d+|\d{8}(?:-[0-9a-f]{12}-\d+)?)$/;
/** `scheme` or `scheme:locator`, as the name of a source is spelled. */
const NAMED_SOURCE = /^([a-z][a-z0-9-]*)(?::(.*))?$/s;

/**
 * Reads a reference as it is typed: `latest`, `stable`, `lts`, `v1.15`, `20260923-6f82ac4cf331-0`, `./m.json`,
 * `https://host/m.json`, `debian`, `debian:bookworm`, `<source>:<locator>`.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_REFERENCE` when the text is none of these.
 */
export function parseReference(text: string): ImageReference {
  if (isSet(text)) return { scheme: 'firecracker-ci', locator: text };
  if (/^https?:\/\//i.test(text)) return { scheme: 'hosted-manifest', locator: text };
  const [, scheme, locator = ''] = NAMED_SOURCE.exec(text) ?? [];
  if (scheme !== undefined && !isSet(scheme) && !text.includes('://')) return { scheme, locator };
  if (isManifest(text) && !text.includes('://')) return { scheme: 'hosted-manifest', locator: text };
  throw unreadable(text);
}

/** The inverse of `parseReference`: the shortest text that reads as this reference. */
export function formatReference({ scheme, locator }: ImageReference): string {
  const isShort =
    (scheme === 'firecracker-ci' && isSet(locator)) || (scheme === 'hosted-manifest' && isManifest(locator));
  if (isShort) return locator;
  return locator === '' ? scheme : `${scheme}:${locator}`;
}

function isSet(text: string): boolean {
  return CI_SET.test(text);
}

/** An address, or a path: begins like one, or ends in `.json`. */
function isManifest(text: string): boolean {
  return /^https?:\/\//i.test(text) || /^\.{0,2}\//.test(text) || (text.endsWith('.json') && !NAMED_SOURCE.test(text));
}

function unreadable(text: string): SmartVMError {
  return new SmartVMError(
    `Failed to read the image reference ${JSON.stringify(text.slice(0, 200))}: it is neither the name of an image nor a manifest`,
    'INVALID_BASE_IMAGE_REFERENCE',
    {
      hint: 'Use latest, stable, lts, v1.15, a dated set, debian[:suite], ./file.manifest.json or https://host/file.manifest.json.',
    },
  );
}
