import { SmartVMError } from '../../errors.ts';
import { runTool } from './run-tool.ts';
import type { Context } from '../../image.ts';

/** Asks the archive which packages, in which versions, an image would be made of now: `name=version`, sorted. */
export async function lookUpPackages(
  suite: string,
  debianArch: string,
  packages: readonly string[],
  context: Context,
): Promise<readonly string[]> {
  const seen: string[] = [];
  const included = [
    `--include=${essentialOf(suite, debianArch)}`,
    `--include=${['usr-is-merged', ...packages].join(',')}`,
  ];
  const how = ['--simulate', '--verbose', '--variant=custom', `--architectures=${debianArch}`];
  const args = [...how, ...included, suite, '/dev/null'];
  const printed = await runTool('mmdebstrap', args, context, { onLine: (line) => seen.push(line) });
  return parseInstalled([...seen, ...printed.split('\n')].join('\n'), suite);
}

/**
 * What mmdebstrap's variant `essential` begins with. It is looked up as one set with the rest: in steps, a simulation chooses
 * other packages than the installation does.
 */
function essentialOf(suite: string, debianArch: string): string {
  return `?narrow(?or(?archive(^${suite}$),?codename(^${suite}$)),?architecture(${debianArch}),?essential)`;
}

/** Reads apt's `Inst name (version …` lines. Exported for its test. */
export function parseInstalled(text: string, suite: string): readonly string[] {
  const found = [...text.matchAll(/^Inst (\S+) \((\S+) /gm)].map(
    ([, name, version]) => `${name ?? ''}=${version ?? ''}`,
  );
  if (found.length === 0) {
    throw new SmartVMError(
      `Failed to look up the packages of ${suite}: apt names none that it would install`,
      'BASE_IMAGE_BUILD_FAILED',
      { hint: 'Check the suite, and that the apt sources of this machine have it.' },
    );
  }
  return [...new Set(found)].sort();
}

/** The version of the kernel among these packages, and the series it belongs to (`6.1`). */
export function kernelOf(packages: readonly string[]): { readonly version: string; readonly series: string } {
  for (const entry of packages) {
    const match = /^linux-image-(\d+\.\d+)[^=]*=(.+)$/.exec(entry);
    if (match?.[1] !== undefined && match[2] !== undefined) return { version: match[2], series: match[1] };
  }
  throw new SmartVMError(
    'Failed to look up the kernel: no package linux-image-<version> would be installed',
    'BASE_IMAGE_BUILD_FAILED',
  );
}
