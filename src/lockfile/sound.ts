import type { LockFile } from './lock.ts';

/**
 * True for what the schema of lock files accepts and leaves as it is. Read by hand, because a hit should load no schema library; what
 * this does not know is for the schema to judge, and to put its faults into words.
 */
export function isSound(value: unknown): value is LockFile {
  return hasOnly(value, { lockVersion: (version) => version === 1, images: isRecordOf(isByArch) });
}

type Check = (value: unknown) => boolean;

/** A name that ends in `?` may be missing. */
type Fields = Readonly<Record<string, Check>>;

const BUNDLE_ID = /^(?!\.)[A-Za-z0-9._-]{1,128}$/;
const PLAIN_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;

const isSize: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isDigest = matches(/^[0-9a-f]{64}$/);

const isArtifact = only({
  fileName: matches(PLAIN_NAME),
  'url?': (value) => isText(8192)(value) && isAddress(String(value)),
  bytes: isSize,
  sha256: isDigest,
  'etag?': isText(300),
  'modifiedAt?': isText(40),
  'compressed?': only({ format: isOneOf('zstd', 'gzip', 'xz'), sha256: isDigest, 'bytes?': isSize }),
});

const isImage = only({
  preset: isOneOf('latest', 'stable', 'lts', 'hosted', 'ci', 'debian', 'custom'),
  bundleId: matches(BUNDLE_ID),
  ciVersion: isText(128),
  firecrackerVersion: matches(/^v\d+\.\d+\.\d+$/),
  rootfsType: isOneOf('ext4', 'squashfs'),
  rootfsIsReadOnly: (value) => typeof value === 'boolean',
  bootArgs: matches(/^[\u0020-\u007e]{0,4096}$/),
  source: (value) => isObject(value) && isOneOf('firecracker-ci', 'hosted-manifest', 'debian', 'custom')(value['type']),
  trust: isOneOf('pinned', 'signed', 'published', 'first-use'),
  artifacts: only({ kernel: isArtifact, rootfs: isArtifact, 'initrd?': isArtifact }),
});

const isByArch = only({ 'x86_64?': isImage, 'aarch64?': isImage });

function only(fields: Fields): Check {
  return (value) => hasOnly(value, fields);
}

function hasOnly(value: unknown, fields: Fields): boolean {
  if (!isObject(value)) return false;
  const names = Object.keys(fields).map((field) => field.replace('?', ''));
  return (
    Object.keys(value).every((name) => names.includes(name)) &&
    Object.entries(fields).every(([field, check]) => {
      const name = field.replace('?', '');
      return Object.hasOwn(value, name) ? check(value[name]) : field !== name;
    })
  );
}

function isRecordOf(check: Check): Check {
  return (value) =>
    isObject(value) && Object.entries(value).every(([key, field]) => key.length <= 4096 && check(field));
}

function matches(pattern: RegExp): Check {
  return (value) => typeof value === 'string' && pattern.test(value);
}

function isText(longest: number): Check {
  return (value) => typeof value === 'string' && value.length <= longest;
}

function isOneOf(...words: readonly string[]): Check {
  return (value) => typeof value === 'string' && words.includes(value);
}

/** An address that needs no second look. */
function isAddress(text: string): boolean {
  return /^https?:\/\/[A-Za-z0-9.-]+(?::\d+)?\/[\w.~%/+=,@-]*$/.test(text) && URL.canParse(text);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Object.hasOwn(value, '__proto__');
}
