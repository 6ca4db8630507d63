import { parseKernelConfig } from './compat/capabilities.ts';
import { SmartVMError, isAbortError } from './errors.ts';
import type { Artifact, ArtifactRole, Companion, Context, ResolvedImage } from './image.ts';

/** One file before and after; absent where there is none. */
export interface ArtifactDifference {
  readonly role: ArtifactRole;
  readonly from?: { readonly fileName: string; readonly bytes?: number };
  readonly to?: { readonly fileName: string; readonly bytes?: number };
}

/** What came, went and changed among named values. */
export interface Changes {
  readonly gained: Readonly<Record<string, string>>;
  readonly lost: Readonly<Record<string, string>>;
  readonly changed: Readonly<Record<string, { readonly from: string; readonly to: string }>>;
}

/** What differs between two images, found without booting either. */
export interface ImageDifference {
  readonly from: string;
  readonly to: string;
  readonly artifacts: readonly ArtifactDifference[];
  /** Options of the kernel's configuration, without `CONFIG_`; absent where one of the two is not published. */
  readonly kernelOptions?: Changes;
  /** Packages of the root file system and their versions; absent where one of the two lists is not published. */
  readonly packages?: Changes;
}

/** What is known of an image without downloading it. */
export interface ImageDescription {
  readonly bundleId: string;
  readonly artifacts: ResolvedImage['artifacts'];
  readonly kernelOptions: ReadonlyMap<string, string> | undefined;
  readonly packages: ReadonlyMap<string, string> | undefined;
}

const ROLES: readonly ArtifactRole[] = ['kernel', 'initrd', 'rootfs'];

/** Reads what lies beside an image. A text that is not there is unknown; any other failure is one. */
export async function describeImage(
  { facts, artifacts, companions = {} }: ResolvedImage,
  context: Context,
): Promise<ImageDescription> {
  const [config, list] = await Promise.all([
    readIfThere(companions.kernelConfig, context),
    readIfThere(companions.packageList, context),
  ]);
  const { source } = facts;
  const packages =
    source.type === 'debian' ? new Map(source.packages.map((entry) => nameAndVersion(entry, '='))) : undefined;
  return {
    bundleId: facts.bundleId,
    artifacts,
    kernelOptions: config === undefined ? undefined : parseKernelConfig(config),
    packages: packages ?? (list === undefined ? undefined : parsePackageList(list)),
  };
}

export function differenceBetween(from: ImageDescription, to: ImageDescription): ImageDifference {
  const kernelOptions = changesBetween(from.kernelOptions, to.kernelOptions);
  const packages = changesBetween(from.packages, to.packages);
  return {
    from: from.bundleId,
    to: to.bundleId,
    artifacts: ROLES.flatMap((role) => artifactDifference(role, from.artifacts[role], to.artifacts[role])),
    ...(kernelOptions === undefined ? {} : { kernelOptions }),
    ...(packages === undefined ? {} : { packages }),
  };
}

/** Reads a list of packages: `name<tab>version` as dpkg prints it, or `name-version-release.arch` as rpm does. */
function parsePackageList(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line) => {
      const tabbed = /^(\S+)\s+(\S.*)$/.exec(line.trim());
      if (tabbed !== null) return [tabbed[1] ?? '', tabbed[2] ?? ''] as const;
      const rpm = /^(.+)-([^-]+-[^-]+)$/.exec(line.trim());
      return [rpm?.[1] ?? line.trim(), rpm?.[2] ?? ''] as const;
    }),
  );
}

async function readIfThere(companion: Companion | undefined, context: Context): Promise<string | undefined> {
  try {
    return await companion?.read(context);
  } catch (error) {
    if (isAbortError(error) || !(error instanceof SmartVMError) || error.code !== 'TRANSFER_STATUS') throw error;
    return undefined;
  }
}

function artifactDifference(
  role: ArtifactRole,
  from: Artifact | undefined,
  to: Artifact | undefined,
): ArtifactDifference[] {
  const shown = (artifact: Artifact): { fileName: string; bytes?: number } => ({
    fileName: artifact.fileName,
    ...(artifact.bytes === undefined ? {} : { bytes: artifact.bytes }),
  });
  const isSame =
    from?.fileName === to?.fileName &&
    from?.bytes === to?.bytes &&
    (from?.sha256 ?? from?.etag) === (to?.sha256 ?? to?.etag);
  if (isSame) return [];
  return [
    {
      role,
      ...(from === undefined ? {} : { from: shown(from) }),
      ...(to === undefined ? {} : { to: shown(to) }),
    },
  ];
}

function changesBetween(
  from: ReadonlyMap<string, string> | undefined,
  to: ReadonlyMap<string, string> | undefined,
): Changes | undefined {
  if (from === undefined || to === undefined) return undefined;
  const names = [...new Set([...from.keys(), ...to.keys()])].sort();
  const pick = <T>(value: (name: string) => T | undefined): Record<string, T> =>
    Object.fromEntries(
      names.flatMap((name) => {
        const picked = value(name);
        return picked === undefined ? [] : [[name, picked] as const];
      }),
    );
  return {
    gained: pick((name) => (from.has(name) ? undefined : to.get(name))),
    lost: pick((name) => (to.has(name) ? undefined : from.get(name))),
    changed: pick((name) => {
      const [was, is] = [from.get(name), to.get(name)];
      return was === undefined || is === undefined || was === is ? undefined : { from: was, to: is };
    }),
  };
}

function nameAndVersion(entry: string, separator: string): readonly [string, string] {
  const at = entry.indexOf(separator);
  return at === -1 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}
