import { lacking, parseKernelConfig } from '../../compat/capabilities.ts';
import { chooseKernels } from '../../compat/kernel-choice.ts';
import { SmartVMError } from '../../errors.ts';
import type { ResolveRequest } from '../../image.ts';
import { companionOf, type Site } from './bucket.ts';
import type { FoundSet } from './find-set.ts';
import type { Wish } from './selection.ts';
import type { KernelCandidate } from './set-content.ts';
import type { Target } from './target.ts';

/** The best kernel of the set that has all that is required. */
export async function chooseKernel(
  { content, name }: FoundSet,
  { releases }: Target,
  wish: Wish,
  site: Site,
  request: ResolveRequest,
): Promise<{ readonly kernel: KernelCandidate; readonly why: readonly string[] }> {
  const { candidates, warnings, why } = chooseKernels(content.kernels, releases, wish.kernel);
  for (const warning of warnings) request.logger.warn(warning);
  const [best] = candidates;
  if (best === undefined) throw new Error(`${content.prefix} is not complete`);
  if (wish.require.length === 0) return { kernel: best, why };
  const lacks: string[] = [];
  for (const kernel of candidates) {
    const missing = await missingIn(kernel, wish.require, site, request);
    if (missing.length === 0) {
      return { kernel, why: [...why, ...lacks, `${kernel.name} has ${wish.require.join(', ')} built in`] };
    }
    lacks.push(`${kernel.name} lacks ${missing.join(', ')}`);
  }
  throw new SmartVMError(
    `No kernel of ${name} has all that is required: ${lacks.join('; ')}`,
    'BASE_IMAGE_RESOLVE_FAILED',
    {
      hint: 'Require less, or look into another set: `smartvm diff` shows what kernels gained and lost.',
    },
  );
}

async function missingIn(
  { configKey, name }: KernelCandidate,
  require: readonly string[],
  site: Site,
  request: ResolveRequest,
): Promise<readonly string[]> {
  if (configKey === undefined) return [`all of it as far as anybody knows: ${name}.config is not there`];
  const config = parseKernelConfig(await companionOf(configKey, site).read(request));
  return lacking(config, require).map(
    ({ capability, options }) => `${capability} (${options.map((option) => `CONFIG_${option}`).join(', ')})`,
  );
}
