import { SmartVMError } from './errors.ts';
import type { ImageSource } from './image.ts';
import type { SourceSettings } from './settings.ts';
import { loadSource } from './source-files.ts';

interface SourceModule {
  createSource(settings: SourceSettings): ImageSource;
}

/**
 * The source of a scheme: one the caller brought along, else the file of that name in `sources/`. A source is
 * loaded when it is asked for, not before.
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
  const module = await loadSource(scheme);
  return isSourceModule(module) ? module : undefined;
}

function isSourceModule(module: unknown): module is SourceModule {
  return typeof module === 'object' && module !== null && 'createSource' in module;
}
