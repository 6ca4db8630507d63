import { basename, join, sep } from 'node:path';
import { systemCode } from '../errors.ts';
import type { ArtifactRole, Bundle, ImageFacts } from '../image.ts';
import { isBundleId, isPlainName } from '../image.ts';
import { ROLES, bundleKey, type Promised } from './bundle-key.ts';
import { readText, readTextNow } from './files.ts';

/** One stored file of a bundle: what was promised of it, and what it is. */
export interface RecordedFile {
  readonly fileName: string;
  /** Names the content at its source, so that another bundle with the same content can share it. */
  readonly identity: string;
  readonly sha256: string;
  readonly bytes: number;
  /** What was known before it was fetched; it is part of the key. */
  readonly promised: readonly ('sha256' | 'bytes')[];
}

/** `manifest.json` of a bundle: written once, before the bundle becomes visible. Names in it are relative. */
export interface BundleRecord {
  readonly schemaVersion: 1;
  readonly facts: ImageFacts;
  readonly files: Readonly<Partial<Record<ArtifactRole, RecordedFile>>> & {
    readonly kernel: RecordedFile;
    readonly rootfs: RecordedFile;
  };
  /** What the bytes were held against, in words. */
  readonly observations?: readonly string[];
  /** ISO 8601. */
  readonly createdAt: string;
}

export const RECORD_NAME = 'manifest.json';

/** The files of a record with their roles. */
export function filesOf(record: BundleRecord): readonly (readonly [ArtifactRole, RecordedFile])[] {
  return ROLES.flatMap((role) => {
    const file = record.files[role];
    return file === undefined ? [] : [[role, file] as const];
  });
}

/** A record as text: JSON, two spaces, a final newline. */
export function formatRecord(record: BundleRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`;
}

/**
 * The record of a bundle directory: `undefined` when there is none, `'damaged'` when it is not a record, or not the one that
 * belongs into a directory of this name (a bundle that was moved aside is asked for by the name it had). Errors of the file
 * system are thrown.
 */
export async function readRecord(
  bundleDir: string,
  dirName: string = basename(bundleDir),
): Promise<BundleRecord | 'damaged' | undefined> {
  try {
    const text = await readText(join(bundleDir, RECORD_NAME));
    return text === undefined ? undefined : (parseRecord(text, dirName) ?? 'damaged');
  } catch (error) {
    if (isNoFile(error)) return 'damaged';
    throw error;
  }
}

/** A symbolic link or a directory in the place of a file was not put there by us. */
function isNoFile(error: unknown): boolean {
  return ['ELOOP', 'EISDIR', 'ENOTDIR'].includes(systemCode(error) ?? '');
}

/** The same at once: a list has many of them to read, and the thread pool takes longer than the disk. */
export function readRecordNow(bundleDir: string, dirName: string): BundleRecord | 'damaged' | undefined {
  try {
    const text = readTextNow(bundleDir + sep + RECORD_NAME);
    return text === undefined ? undefined : (parseRecord(text, dirName) ?? 'damaged');
  } catch (error) {
    if (isNoFile(error)) return 'damaged';
    throw error;
  }
}

/** The bundle of a record that lies in `bundleDir`. */
export function toBundle(bundleDir: string, record: BundleRecord, lastAccessedAt: string): Bundle {
  const { facts, files, observations, createdAt } = record;
  const { kernel, rootfs, initrd } = files;
  // Not `join`, which looks for dots, and no spread after a spread, which is ten times slower: a list does this very often.
  const pathOf = ({ fileName }: RecordedFile): string => bundleDir + sep + fileName;
  const paths = { bundleDir, kernelImagePath: pathOf(kernel), rootfsPath: pathOf(rootfs) };
  const checksums = { kernelSha256: kernel.sha256, rootfsSha256: rootfs.sha256 };
  const sizes = { kernelBytes: kernel.bytes, rootfsBytes: rootfs.bytes };
  const contents =
    initrd === undefined
      ? { checksums, sizes }
      : {
          initrdPath: pathOf(initrd),
          checksums: { ...checksums, initrdSha256: initrd.sha256 },
          sizes: { ...sizes, initrdBytes: initrd.bytes },
        };
  const times = { createdAt, lastAccessedAt };
  const rest = observations === undefined ? times : { observations, ...times };
  return Object.assign(Object.assign({}, facts, paths), contents, rest);
}

/**
 * Read by hand, not by a schema library: a hit should load none. The key in the directory's name covers the facts, so a
 * record that was changed does not belong there any more, and the facts need no second look.
 */
function parseRecord(text: string, dirName: string): BundleRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isRecord(value) && belongs(value, dirName) ? value : undefined;
}

function belongs(record: BundleRecord, dirName: string): boolean {
  if (!isBundleId(record.facts.bundleId)) return false;
  const files = filesOf(record);
  const names = new Set(files.map(([, { fileName }]) => fileName.toLowerCase()));
  if (names.size !== files.length || names.has(RECORD_NAME)) return false;
  const promised = files.map(([role, file]) => [role, promiseOf(file)] as const);
  return dirName === `${record.facts.bundleId}-${bundleKey(record.facts, promised)}`;
}

function promiseOf({ fileName, identity, sha256, bytes, promised }: RecordedFile): Promised {
  return {
    fileName,
    identity,
    ...(promised.includes('sha256') ? { sha256 } : {}),
    ...(promised.includes('bytes') ? { bytes } : {}),
  };
}

function isRecord(value: unknown): value is BundleRecord {
  if (!isObject(value) || value['schemaVersion'] !== 1) return false;
  const { facts, files, createdAt } = value;
  if (!isObject(facts) || !isObject(files)) return false;
  if (typeof facts['bundleId'] !== 'string' || typeof facts['reference'] !== 'string') return false;
  const { observations = [] } = value;
  if (!Array.isArray(observations) || !observations.every((one) => typeof one === 'string')) return false;
  if (typeof createdAt !== 'string' || Number.isNaN(Date.parse(createdAt))) return false;
  return (
    isFile(files['kernel']) && isFile(files['rootfs']) && (files['initrd'] === undefined || isFile(files['initrd']))
  );
}

function isFile(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { fileName, identity, sha256, bytes, promised } = value;
  if (typeof fileName !== 'string' || !isPlainName(fileName) || typeof identity !== 'string') return false;
  return (
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isSafeInteger(bytes) &&
    Array.isArray(promised)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
