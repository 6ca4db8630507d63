import type { Bundle } from '../../index.ts';
import { bytesOf, folderOf } from '../bundle-text.ts';
import { ARCH_FLAG, COMMON_FLAGS, managerFor } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { plainLine } from '../plain-text.ts';
import { formatFields } from '../table.ts';
import { formatAge, formatBytes } from '../units.ts';
import type { Verb } from '../verb.ts';

export const inspect: Verb = {
  name: 'inspect',
  summary: 'Show everything that is known of an image in the cache.',
  operands: { text: '<id|reference>', min: 1, max: 1 },
  flags: { ...ARCH_FLAG, ...COMMON_FLAGS },
  examples: [
    { command: 'smartvm inspect debian', says: 'Where it came from, how far it is trusted, its digests.' },
    { command: 'smartvm inspect debian --json | jq .checksums', says: 'The same for programs.' },
  ],

  async run(call) {
    const { args, shell, words } = call;
    const images = await managerFor(call);
    const [name = ''] = args.operands;
    const [bundle, ...others] = await images.findBaseImages(name);
    if (bundle === undefined) throw new Error(`nothing was found for ${name}, and nobody said so`);
    if (others.length > 0) {
      words.say(`note: ${others.length} more of this id, ask by folder: ${others.map(folderOf).join(', ')}`);
    }
    shell.stdout.write(args.has('json') ? toJson(bundle) : formatFields(factsOf(bundle)));
    return 0;
  },
};

function factsOf(bundle: Bundle): readonly (readonly [string, string])[] {
  const { checksums, sizes } = bundle;
  const files: (readonly [string, string | undefined, string | undefined, number | undefined])[] = [
    ['kernel', bundle.kernelImagePath, checksums.kernelSha256, sizes.kernelBytes],
    ['initrd', bundle.initrdPath, checksums.initrdSha256, sizes.initrdBytes],
    ['rootfs', bundle.rootfsPath, checksums.rootfsSha256, sizes.rootfsBytes],
  ];
  const facts: (readonly [string, string])[] = [
    ['bundle', bundle.bundleId],
    ['reference', bundle.reference],
    ['arch', bundle.arch],
    ['trust', bundle.trust],
    ['ci-version', bundle.ciVersion],
    ['firecracker', bundle.firecrackerVersion],
    ['source', bundle.source.type],
    ...Object.entries(bundle.source)
      .filter(([name]) => name !== 'type')
      .map(([name, value]) => [`  ${name}`, sourceValue(value)] as const),
    ['folder', bundle.bundleDir],
    ['size', formatBytes(bytesOf(bundle))],
    ...files.flatMap(([role, path, sha256, bytes]) =>
      path === undefined
        ? []
        : ([
            [role, path],
            ['  sha256', sha256 ?? 'unknown'],
            ['  size', bytes === undefined ? 'unknown' : formatBytes(bytes)],
          ] as const),
    ),
    ['rootfs-type', `${bundle.rootfsType}, ${bundle.rootfsIsReadOnly ? 'read-only' : 'writable'}`],
    ['boot-args', bundle.bootArgs],
    ['created', time(bundle.createdAt)],
    ['used', time(bundle.lastAccessedAt)],
  ];
  return facts.map(([name, value]) => [name, plainLine(value)] as const);
}

function sourceValue(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return value.length > 4 ? `${value.length} (see --json)` : value.join(', ');
}

function time(iso: string): string {
  return `${iso} (${formatAge(Date.now() - Date.parse(iso))})`;
}
