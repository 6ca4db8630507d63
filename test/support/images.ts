import { createCipheriv, createHash } from 'node:crypto';
import type {
  Artifact,
  ArtifactRole,
  Artifacts,
  ArtifactStream,
  ByteRange,
  Context,
  ImageFacts,
  ResolvedImage,
} from '../../src/image.ts';
import { bootArgsFor } from '../../src/image.ts';

type OnOpen = (role: ArtifactRole, context: Context, range: ByteRange | undefined) => void | Promise<void>;

/** How one file of a made-up image behaves. */
export interface ArtifactOptions {
  /** What the stream gives. */
  readonly content: Uint8Array | string;
  readonly fileName?: string;
  /** Default: made from the digest of the content. */
  readonly identity?: string;
  /** `true` (the default): the true digest is promised. `false`: none is. A text: that one is. */
  readonly sha256?: boolean | string;
  /** `true` (the default): the true size is promised. `false`: none is. A number: that one is. */
  readonly bytes?: boolean | number;
  /** The stream rejects with this after its content. */
  readonly failure?: Error;
  /** What the stream says of its bytes. The rest is given to whoever asks with the same, the whole to all others. */
  readonly validator?: string;
  /** Where the stream says that its bytes come from. */
  readonly source?: string;
  /** Whether the stream says that somebody else has them too. */
  readonly disown?: (why: string) => boolean;
  /** Size of the pieces the stream gives. Default 64 KiB. */
  readonly chunkBytes?: number;
  /** Runs when the stream is opened, before anything is given; may be slow, may throw. */
  readonly onOpen?: OnOpen;
  /** Runs before each piece; may throw. */
  readonly onChunk?: (position: number, context: Context) => void | Promise<void>;
}

export interface ImageOptions {
  readonly kernel?: ArtifactOptions;
  readonly rootfs?: ArtifactOptions;
  readonly initrd?: ArtifactOptions;
  readonly facts?: Partial<ImageFacts>;
  /** Short for `facts.bundleId`. */
  readonly bundleId?: string;
  /** Runs when any of the streams is opened. */
  readonly onOpen?: OnOpen;
}

/** An image made from memory: nothing is asked of the world, every promise about its bytes can be broken on purpose. */
export function imageOf(options: ImageOptions = {}): ResolvedImage {
  const { kernel = { content: 'a kernel' }, rootfs = { content: 'a root file system' }, initrd, onOpen } = options;
  const hook = onOpen === undefined ? {} : { onOpen };
  const artifacts: Artifacts = {
    kernel: artifactOf('kernel', { ...hook, fileName: 'vmlinux', ...kernel }),
    rootfs: artifactOf('rootfs', { ...hook, fileName: 'rootfs.squashfs', ...rootfs }),
    ...(initrd === undefined ? {} : { initrd: artifactOf('initrd', { ...hook, fileName: 'initrd.img', ...initrd }) }),
  };
  return {
    facts: factsOf({ ...options.facts, bundleId: options.bundleId ?? options.facts?.bundleId ?? 'test-image' }),
    artifacts,
  };
}

/** One file of an image made from memory. */
function artifactOf(role: ArtifactRole, options: ArtifactOptions): Artifact {
  const content = Buffer.from(options.content);
  const trueDigest = sha256Of(content);
  const { sha256 = true, bytes = true, chunkBytes = 64 * 1024 } = options;
  const digest = sha256 === true ? trueDigest : sha256;
  const size = bytes === true ? content.byteLength : bytes;
  return {
    fileName: options.fileName ?? role,
    identity: options.identity ?? `memory:${trueDigest}`,
    ...(digest === false ? {} : { sha256: digest }),
    ...(size === false ? {} : { bytes: size }),
    async open(context: Context, range?: ByteRange): Promise<ArtifactStream> {
      await options.onOpen?.(role, context, range);
      const { validator, source, disown } = options;
      const start = range !== undefined && range.validator === validator ? range.start : 0;
      const pieces = (async function* () {
        for (let position = start; position < content.byteLength; position += chunkBytes) {
          await options.onChunk?.(position, context);
          context.signal?.throwIfAborted();
          yield content.subarray(position, position + chunkBytes);
        }
        if (options.failure !== undefined) throw options.failure;
      })();
      return Object.assign(pieces, {
        start,
        ...(validator === undefined ? {} : { validator }),
        ...(source === undefined ? {} : { source }),
        ...(disown === undefined ? {} : { disown }),
      });
    },
  };
}

/** Bytes without any pattern, the same ones for the same seed. */
export function noise(bytes: number, seed = 0): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(bytes));
}

/** Facts of a made-up image. */
export function factsOf(facts: Partial<ImageFacts> = {}): ImageFacts {
  const { arch = 'x86_64', rootfsType = 'squashfs', rootfsIsReadOnly = true } = facts;
  return {
    reference: 'test:image',
    preset: 'custom',
    bundleId: 'test-image',
    arch,
    ciVersion: 'custom',
    firecrackerVersion: 'v1.15.1',
    rootfsType,
    rootfsIsReadOnly,
    bootArgs: bootArgsFor(arch, rootfsType, rootfsIsReadOnly),
    source: { type: 'custom', scheme: 'test', locator: 'image' },
    trust: 'published',
    ...facts,
  };
}

/** A context that keeps what it was told. */
export interface KeptContext extends Context {
  readonly warnings: string[];
  readonly events: Parameters<Context['onProgress']>[0][];
}

export function contextOf(signal?: AbortSignal): KeptContext {
  const warnings: string[] = [];
  const events: KeptContext['events'] = [];
  return {
    signal,
    warnings,
    events,
    logger: { warn: (message) => void warnings.push(message), info: () => undefined },
    onProgress: (event) => void events.push(event),
  };
}

/** SHA-256 as lower-case hex. */
export function sha256Of(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex');
}
