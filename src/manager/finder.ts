import { SmartVMError } from '../errors.ts';
import type { Context, ImageSource, ResolveRequest, ResolvedImage, Selection, TargetVmm } from '../image.ts';
import { sourceSettingsFrom } from '../network-options.ts';
import type { BaseImageManagerOptions, EnsureBaseImageOptions } from '../options.ts';
import { sourceFor } from '../source-registry.ts';
import type { Asked } from './asked.ts';

/** Finds the image that is asked for: source, choices, target. Asks the network, touches no cache. */
export class Finder {
  readonly #options: BaseImageManagerOptions;

  constructor(options: BaseImageManagerOptions) {
    this.#options = options;
  }

  /** The source of a reference, which must offer the choices that the call makes. */
  async sourceOf({ reference, selection }: Asked, call: EnsureBaseImageOptions): Promise<ImageSource> {
    const settings = sourceSettingsFrom(this.#options, process.env);
    const source = await sourceFor(reference.scheme, settings, this.#options.sources ?? []);
    const given = Object.keys(selection) as (keyof Selection)[];
    const foreign = given.find((name) => source.selects?.includes(name) !== true);
    if (foreign === undefined && (!call.firecrackerVersion || source.selects !== undefined)) return source;
    throw new SmartVMError(
      `Failed to choose an image: ${foreign ?? 'firecrackerVersion'} was given, and ${source.scheme} offers no such choice`,
      'INVALID_BASE_IMAGE_OPTIONS',
      { hint: 'It is for sets of the bucket, like latest, stable, v1.15 or a dated one.' },
    );
  }

  async resolve(source: ImageSource, asked: Asked, context: Context): Promise<ResolvedImage> {
    context.onProgress({ phase: 'resolve', reference: asked.text });
    return await source.resolve(asked.reference.locator, await requestFor(source, asked, context));
  }

  /** What the source was shipped with, for when nobody can be asked. */
  async knownGood(source: ImageSource, asked: Asked, context: Context): Promise<ResolvedImage | undefined> {
    return source.knownGood?.(asked.reference.locator, await requestFor(source, asked, context));
  }
}

async function requestFor(source: ImageSource, asked: Asked, context: Context): Promise<ResolveRequest> {
  const { arch, selection } = asked;
  const target = source.selects?.includes('kernel') === true ? await targetOf(asked) : undefined;
  return { ...context, arch, selection, ...(target === undefined ? {} : { target }) };
}

/** The release that was named, else the one of the Firecracker on PATH. */
async function targetOf({ firecrackerVersion }: Asked): Promise<TargetVmm | undefined> {
  if (firecrackerVersion !== undefined) return { version: firecrackerVersion, why: 'it was asked for' };
  const { firecrackerOnPath } = await import('../vmm/host.ts');
  const found = await firecrackerOnPath();
  if (found === undefined || found.version === '0.0.0') return undefined;
  return { version: `v${found.version}`, why: `it is ${found.command}` };
}
