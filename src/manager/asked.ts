import { SmartVMError } from '../errors.ts';
import type { Arch, ImageReference, Selection, Trust } from '../image.ts';
import { archFrom, referenceFrom, type BaseImageManagerOptions, type EnsureBaseImageOptions } from '../options.ts';
import { formatReference } from '../reference.ts';

/** What one call asks for, after options of call and manager were brought together. */
export interface Asked {
  readonly reference: ImageReference;
  readonly arch: Arch;
  readonly selection: Selection;
  /** The release the caller named, `vX.Y.Z`. */
  readonly firecrackerVersion?: string;
  /** All of it but the architecture in one text: its name in memory and in a lock file. */
  readonly text: string;
}

/** How old an answer may be. */
export interface Freshness {
  readonly force: boolean;
  readonly offline: boolean;
  /** An answer that was given this long ago needs no asking; `Infinity`: any. Absent: ask. */
  readonly maxAgeMs?: number;
  readonly staleIfError: boolean;
}

const TRUST: readonly Trust[] = ['first-use', 'published', 'signed', 'pinned'];

/**
 * Brings call and manager together.
 *
 * @throws SmartVMError as `referenceFrom` and `archFrom` do, `INVALID_BASE_IMAGE_OPTIONS` for what cannot be chosen.
 */
export function askedFrom(call: EnsureBaseImageOptions, manager: BaseImageManagerOptions): Asked {
  const reference = referenceFrom(call, manager);
  const arch = archFrom(call, manager);
  const firecrackerVersion = releaseFrom(call.firecrackerVersion || manager.firecrackerVersion);
  const selection: Selection = {
    ...(call.kernel ? { kernel: call.kernel } : {}),
    ...(call.rootfs ? { rootfs: call.rootfs } : {}),
    ...(call.require === undefined || call.require.length === 0 ? {} : { require: [...call.require].sort() }),
  };
  const chosen = Object.entries({ ...selection, firecracker: firecrackerVersion })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}=${String(value)}`);
  const text = formatReference(reference) + chosen.join('');
  return { reference, arch, selection, ...(firecrackerVersion === undefined ? {} : { firecrackerVersion }), text };
}

/** @throws SmartVMError `INVALID_BASE_IMAGE_OPTIONS` for an age that is none, and for options that contradict each other. */
export function freshnessFrom(call: EnsureBaseImageOptions, manager: BaseImageManagerOptions): Freshness {
  const force = call.forceDownload ?? false;
  const offline = call.offline ?? manager.offline ?? false;
  const preferOffline = call.preferOffline ?? manager.preferOffline ?? false;
  const age = call.maxAgeMs ?? manager.maxAgeMs;
  if (age !== undefined && !(typeof age === 'number' && age >= 0)) {
    throw wrong(`maxAgeMs must be a number of at least 0, got ${String(age)}`, 'It is in milliseconds.');
  }
  const verify: unknown = call.verify ?? manager.verify;
  if (verify !== undefined && verify !== 'always') {
    throw wrong(
      `verify must be "always", got ${JSON.stringify(verify)}`,
      'Leave it out to hash what has changed or is old.',
    );
  }
  if (force && (call.offline === true || call.preferOffline === true)) {
    throw wrong('forceDownload was given with offline or preferOffline', 'Give one of them.');
  }
  const maxAgeMs = preferOffline ? Infinity : age;
  return {
    force,
    offline,
    staleIfError: call.staleIfError ?? manager.staleIfError ?? false,
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  };
}

/**
 * Holds the trust of an image against the least that is wanted.
 *
 * @throws SmartVMError `BASE_IMAGE_BELOW_TRUST`, or `INVALID_BASE_IMAGE_OPTIONS` for a word that names no trust.
 */
export function requireTrust(what: string, trust: Trust, minimum: Trust | undefined): void {
  if (minimum === undefined) return;
  if (!TRUST.includes(minimum)) {
    throw wrong(
      `minimumTrust must be one of ${TRUST.join(', ')}, got ${JSON.stringify(minimum)}`,
      'Leave it out to take all.',
    );
  }
  if (TRUST.indexOf(trust) >= TRUST.indexOf(minimum)) return;
  throw new SmartVMError(
    `Failed to trust ${what}: its digests are ${describeTrust(trust)}, and at least "${minimum}" was asked for`,
    'BASE_IMAGE_BELOW_TRUST',
    {
      hint: 'Look at it once, write its digests into a lock file with `smartvm lock`, and commit that; or take an image whose publisher signs it.',
    },
  );
}

/** A trust in honest words. */
function describeTrust(trust: Trust): string {
  return {
    pinned: 'pinned by a lock file or the caller',
    signed: 'signed by a key that is trusted',
    published: 'published in a manifest that nobody on the way could change',
    'first-use': 'of first use: nobody publishes any, and hashing what was just fetched proves nothing',
  }[trust];
}

function releaseFrom(text: string | undefined): string | undefined {
  if (!text) return undefined;
  const [, major, minor, patch = '0'] = /^v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?$/.exec(text) ?? [];
  if (major !== undefined && minor !== undefined) return `v${major}.${minor}.${patch}`;
  throw wrong(
    `firecrackerVersion must be like v1.15.1, got ${JSON.stringify(text.slice(0, 60))}`,
    'Leave it out for the one on PATH, else the newest.',
  );
}

function wrong(message: string, hint: string): SmartVMError {
  return new SmartVMError(message, 'INVALID_BASE_IMAGE_OPTIONS', { hint });
}
