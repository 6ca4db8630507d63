import type { BootReceipt, Bundle, FileVerdict } from '../../index.ts';
import { bytesOf, folderOf } from '../bundle-text.ts';
import { ARCH_FLAG, COMMON_FLAGS } from '../common-flags.ts';
import { toJson } from '../json.ts';
import { managerFor } from '../manager-for.ts';
import { plainLine } from '../plain-text.ts';
import { formatFields } from '../table.ts';
import { formatAge, formatBytes, formatSeconds } from '../units.ts';
import type { Verb } from '../verb.ts';

export const inspect: Verb = {
  name: 'inspect',
  summary: 'Show everything that is known of an image in the cache.',
  operands: { text: '<id|reference>', min: 1, max: 1 },
  flags: {
    'boot-args': { help: 'Show its kernel arguments alone, and what is odd about them.' },
    ...ARCH_FLAG,
    ...COMMON_FLAGS,
  },
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
    const machines = await import('../machines.ts');
    if (args.has('boot-args')) {
      const { bootArgs, arch, rootfsIsReadOnly } = bundle;
      const findings = machines.lintKernelArguments(bootArgs, arch, rootfsIsReadOnly);
      const lines = [bootArgs, ...findings.map((finding) => `- ${finding}`)].map((line) => `${plainLine(line)}\n`);
      shell.stdout.write(args.has('json') ? toJson({ bootArgs, findings }) : lines.join(''));
      return 0;
    }
    if (args.has('json')) {
      shell.stdout.write(toJson(bundle));
      return 0;
    }
    const seen: Seen = {
      kernel: await machines.recogniseKernel(bundle.kernelImagePath),
      rootfs: await machines.recogniseRootfs(bundle.rootfsPath),
      receipts: await machines.bootReceipts(bundle),
    };
    shell.stdout.write(formatFields(factsOf(bundle, seen)));
    return 0;
  },
};

/** What the files and the machines say, besides the record. */
interface Seen {
  readonly kernel: FileVerdict<string>;
  readonly rootfs: FileVerdict<string>;
  readonly receipts: readonly BootReceipt[];
}

function factsOf(bundle: Bundle, seen: Seen): readonly (readonly [string, string])[] {
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
    ...(bundle.observations ?? []).map((observation) => ['  seen', observation] as const),
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
    ['kernel-format', formatOf(seen.kernel)],
    ['rootfs-format', formatOf(seen.rootfs)],
    ['rootfs-type', `${bundle.rootfsType}, ${bundle.rootfsIsReadOnly ? 'read-only' : 'writable'}`],
    ['boot-args', bundle.bootArgs],
    ['created', time(bundle.createdAt)],
    ['used', time(bundle.lastAccessedAt)],
    ...seen.receipts.map((receipt) => ['booted', bootOf(receipt)] as const),
  ];
  return facts.map(([name, value]) => [name, plainLine(value)] as const);
}

function formatOf({ format, problem }: FileVerdict<string>): string {
  return problem === undefined ? format : `unknown: the file ${problem}`;
}

function bootOf({ vmm, vmmVersion, accelerator, bootMs, marker, bootedAt }: BootReceipt): string {
  return `${vmm} ${vmmVersion} (${accelerator}) in ${formatSeconds(bootMs)} to ${JSON.stringify(marker)}, ${time(bootedAt)}`;
}

function sourceValue(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return value.length > 4 ? `${value.length} (see --json)` : value.join(', ');
}

function time(iso: string): string {
  return `${iso} (${formatAge(Date.now() - Date.parse(iso))})`;
}
