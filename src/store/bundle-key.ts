import { createHash } from 'node:crypto';
import type { Artifact, ArtifactRole, Artifacts, ImageFacts, ResolvedImage } from '../image.ts';
import { isBundleId } from '../image.ts';

/** In the order in which they are listed and stored. */
export const ROLES: readonly ArtifactRole[] = ['kernel', 'initrd', 'rootfs'];

/** What an artifact is known to be before it was fetched; all of it goes into the key. */
export interface Promised {
  readonly fileName: string;
  readonly identity: string;
  readonly sha256?: string;
  readonly bytes?: number;
}

/** The artifacts of an image that are there, with their roles. */
export function artifactsOf(artifacts: Artifacts): readonly (readonly [ArtifactRole, Artifact])[] {
  return ROLES.flatMap((role) => {
    const artifact = artifacts[role];
    return artifact === undefined ? [] : [[role, artifact] as const];
  });
}

/** The name of the directory of an image: its id, and 16 hex digits over everything that makes it this image. */
export function bundleDirName({ facts, artifacts }: ResolvedImage): string {
  const promised = artifactsOf(artifacts).map(([role, artifact]) => [role, promise(artifact)] as const);
  return `${facts.bundleId}-${bundleKey(facts, promised)}`;
}

/** True for a name that `bundleDirName` can have given. */
export function isBundleDirName(name: string): boolean {
  return isBundleId(name.slice(0, -17)) && /-[0-9a-f]{16}$/.test(name);
}

/** 16 hex digits of the SHA-256 over all facts but the words they were asked for with, and over what every artifact must be. */
export function bundleKey(facts: ImageFacts, artifacts: readonly (readonly [ArtifactRole, Promised])[]): string {
  const { reference: _, ...handedOut } = facts;
  const text = canonical({ facts: handedOut, artifacts: Object.fromEntries(artifacts) });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function promise({ fileName, identity, sha256, bytes }: Artifact): Promised {
  return {
    fileName,
    identity,
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}

/**
 * JSON with the fields of every object in order, so that equal values are equal texts. By hand: a list computes the key of
 * every bundle, and `JSON.stringify` with a function takes twice as long.
 */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((one) => (one === undefined ? 'null' : canonical(one))).join()}]`;
  const fields = value as Readonly<Record<string, unknown>>;
  let text = '';
  for (const name of Object.keys(fields).sort()) {
    const field = fields[name];
    if (field !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonical(field)}`;
  }
  return `{${text}}`;
}
