import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src', import.meta.url));
const imports = readImports();

/** Who may import whom: the first rule whose `from` fits a module rules it. `self` is the module's own folder. */
const RULES: readonly { readonly from: RegExp; readonly may: readonly RegExp[]; readonly ownFolder?: boolean }[] = [
  { from: /^(?:image|errors|settings)\.ts$/, may: [] },
  { from: /^reference\.ts$/, may: [/^(?:image|errors)\.ts$/] },
  { from: /^transfer\//, may: [/^(?:image|errors|settings)\.ts$/, /^transfer\//] },
  { from: /^unpack\//, may: [/^(?:image|errors)\.ts$/, /^unpack\//] },
  { from: /^compat\//, may: [/^(?:image|errors)\.ts$/, /^compat\//] },
  {
    from: /^sources\//,
    may: [/^(?:image|errors|settings)\.ts$/, /^transfer\//, /^unpack\//, /^compat\//],
    ownFolder: true,
  },
  { from: /^store\//, may: [/^(?:image|errors)\.ts$/, /^store\//] },
  { from: /^vmm\//, may: [/^(?:image|errors)\.ts$/, /^vmm\//, /^compat\//] },
  { from: /^cli\//, may: [/^index\.ts$/, /^cli\//] },
  { from: /^network-options\.ts$/, may: [/^(?:errors|options|settings)\.ts$/] },
  { from: /^(?:options|source-registry)\.ts$/, may: [/^(?:image|errors|reference|settings|source-files)\.ts$/] },
  { from: /^source-files\.ts$/, may: [] },
  { from: /^configuration(?:\.ts$|\/)/, may: [/^(?:errors|options|settings)\.ts$/, /^configuration\//] },
  { from: /^compare\.ts$/, may: [/^(?:image|errors)\.ts$/, /^compat\//] },
  { from: /^lockfile\//, may: [/^(?:image|errors)\.ts$/, /^lockfile\//] },
  {
    from: /^manager(?:\.ts$|\/)/,
    may: [
      /^(?:image|errors|reference|settings|options|network-options|compare|source-registry)\.ts$/,
      /^manager\//,
      /^store\//,
      /^lockfile\//,
      /^vmm\/host\.ts$/,
    ],
  },
  { from: /^doctor\.ts$/, may: [/^(?:image|errors|manager)\.ts$/, /^compat\//, /^vmm\//] },
  { from: /^boot(?:\.ts$|\/)/, may: [/^(?:image|errors)\.ts$/, /^boot\//, /^store\//, /^vmm\//] },
  { from: /^seed-names\.ts$/, may: [/^(?:image|options)\.ts$/, /^sources\//] },
  { from: /^index\.ts$/, may: [/^(?!cli\/|testing\/)/] },
  { from: /^testing\//, may: [/^testing\//] },
];

test('every module imports only what the dependency rule allows it', () => {
  assert.ok(imports.size > 30, `only ${imports.size} modules were looked at`);
  const broken = [...imports].flatMap(([from, targets]) => {
    const rule = RULES.find((one) => one.from.test(from));
    if (rule === undefined) return [`${from} is not in the table`];
    return targets
      .filter((to) => !rule.may.some((pattern) => pattern.test(to)) && !(rule.ownFolder === true && isOwn(from, to)))
      .map((to) => `${from} imports ${to}`);
  });
  assert.deepEqual(broken, []);
});

test('no module imports itself, directly or through others', () => {
  assert.deepEqual(
    [...imports.keys()].filter((start) => reaches(start, start)),
    [],
  );
});

test('the library neither prints nor reads the command line nor sets the exit code', () => {
  const loud = modules()
    .filter((name) => name !== 'cli/main.ts')
    .filter((name) => {
      const text = code(name);
      const reads = /\bprocess\.(?:argv|exitCode|exit\()/.test(text);
      const prints =
        !name.startsWith('cli/') &&
        /\bconsole\.(?:log|error|warn|info|debug|table|trace)\(|\bprocess\.std(?:out|err)\b/.test(text);
      return reads || prints;
    });
  assert.deepEqual(loud, []);
});

test('the store knows no URL', () => {
  const online = modules().filter(
    (name) => name.startsWith('store/') && /\bnode:(?:https?|net|tls)\b|\bfetch\(/.test(code(name)),
  );
  assert.deepEqual(online, []);
});

/** A source's own folder is the one that bears its name: `sources/debian.ts` and `sources/debian/`. */
function isOwn(from: string, to: string): boolean {
  const name = from.split('/')[1]?.replace(/\.ts$/, '') ?? '';
  return to.startsWith(`sources/${name}/`);
}

function reaches(from: string, goal: string, seen = new Set<string>()): boolean {
  return (imports.get(from) ?? []).some((to) => {
    if (to === goal) return true;
    if (seen.has(to)) return false;
    seen.add(to);
    return reaches(to, goal, seen);
  });
}

function readImports(): Map<string, string[]> {
  return new Map(modules().map((name) => [name, importsOf(name)]));
}

function importsOf(name: string): string[] {
  const found = code(name).matchAll(/(?:\bfrom|\bimport|\bimport\()\s*['"`](\.[^'"`]+)['"`]/g);
  return [...found]
    .map(([, target]) => normalize(join(dirname(name), target ?? '')))
    .filter((to) => !to.includes('${'));
}

function code(name: string): string {
  return readFileSync(join(SRC, name), 'utf8').replace(/\/\*[^]*?\*\//g, '');
}

function modules(): string[] {
  return readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(SRC, join(entry.parentPath, entry.name)));
}
