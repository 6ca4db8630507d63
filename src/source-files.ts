/**
 * The module of that name in `sources/`, loaded now; `undefined` when there is none. The folder is the registry. In a built
 * package, where there is no such folder, this file is a table of what was in it (`scripts/build.ts`).
 */
export async function loadSource(name: string): Promise<unknown> {
  try {
    return await import(`./sources/${name}.ts`);
  } catch (error) {
    if (isMissing(error, name)) return undefined;
    throw error;
  }
}

/** Only the source's own file counts as missing: a dependency that is not installed is another matter. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false;
  return new RegExp(`/sources/${name}\\.ts['"]? imported from`).test(error.message);
}
