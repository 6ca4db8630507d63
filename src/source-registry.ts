import { SmartVMError } from './errors.ts';
import type { ImageSource } from './image.ts';
import type { SourceSettings } from './settings.ts';

interface SourceModule {
  createSource(settings: SourceSettings): ImageSource;
}

/**
 * The source of a scheme: one the caller brought along, else the file of that name in `sources/`. The folder is the
 * registry, and a source is loaded when it is asked for, not before.
 *
 * @throws SmartVMError `INVALID_BASE_IMAGE_REFERENCE` when there is no such source.
 */
export async function sourceFor(
  scheme: string,
  settings: SourceSettings,
  own: readonly ImageSource[],
): Promise<ImageSource> {
  const brought = own.find((source) => source.scheme === scheme);
  if (brought !== undefined) return brought;
  const module = await load(scheme);
  if (module === undefined) {
    throw new SmartVMError(
      `Failed to find an image source for ${JSON.stringify(scheme)}: there is none of that name`,
      'INVALID_BASE_IMAGE_REFERENCE',
      { hint: 'Use latest, stable, lts, v1.15, a dated set, debian[:suite], or the path or URL of a manifest.' },
    );
  }
  return module.createSource(settings);
}

async function load(scheme: string): Promise<SourceModule | undefined> {
  if (!/^[a-z][a-z0-9-]*$/.test(scheme)) return undefined;
  try {
    const module: unknown = await import(`./sources/${scheme}.ts`);
    return isSourceModule(module) ? module : undefined;
  } catch (error) {
    if (isMissing(error, scheme)) return undefined;
    throw error;
  }
}

function isSourceModule(module: unknown): module is SourceModule {
  return typeof module === 'object' && module !== null && 'createSource' in module;
}

/** Only the source's own file counts as missing: a dependency that is not installed is another matter. */
function isMissing(error: unknown, scheme: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false;
  return new RegExp(`/sources/${scheme}\\.[jt]s['"]? imported from`).test(error.message);
}
