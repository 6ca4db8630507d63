/** The installed packages of a dpkg status file, `name=version`, sorted. */
export function parseDpkgStatus(text: string): readonly string[] {
  return text
    .split('\n\n')
    .filter((paragraph) => /^Status: .* installed$/m.test(paragraph))
    .map((paragraph) => `${fieldOf(paragraph, 'Package')}=${fieldOf(paragraph, 'Version')}`)
    .sort();
}

function fieldOf(paragraph: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1] ?? '';
}
