import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readConfiguration, type SmartVMError } from 'smartvm';
import { configurationSchemaPath, configurationSchemaText } from '../scripts/schemas.ts';
import { runBin } from './cli/bin.fixture.ts';
import { isRoot } from './support/abilities.ts';
import { rejection } from './support/rejection.ts';

const VARIABLES = [
  'SMARTVM_CONFIG',
  'XDG_CONFIG_HOME',
  'SMARTVM_CACHE_DIR',
  'SMARTVM_BUCKET_URL',
  'SMARTVM_RELEASES_URL',
];

/** A folder with a configuration, and none of the variables of whoever runs the tests. */
async function place(t: TestContext, content: unknown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-configuration-'));
  const before = [...VARIABLES, 'SMARTVM_MIRRORS'].map((name) => [name, process.env[name]] as const);
  for (const [name] of before) Reflect.deleteProperty(process.env, name);
  t.after(async () => {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await rm(folder, { recursive: true, force: true });
  });
  const path = join(folder, 'smartvm', 'config.json');
  await mkdir(dirname(path));
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
  return path;
}

async function refusal(path?: string): Promise<SmartVMError> {
  const error = await rejection(readConfiguration(path));
  assert.equal(error.code, 'INVALID_BASE_IMAGE_OPTIONS');
  return error;
}

test('a configuration becomes options of the manager, sizes and rates counted out', async (t) => {
  const path = await place(t, {
    $schema: 'any',
    cacheDir: '~/images',
    mirrors: ['https://mirror.example/images'],
    headers: { 'https://images.example': { authorization: 'Bearer x' } },
    limits: { retries: 9, idleTimeoutMs: 5000 },
    connections: 4,
    limitRate: '5M',
    maxStoredBytes: '1.5G',
    maxStoredBaseImages: 8,
    minimumTrust: 'published',
  });
  assert.deepEqual(await readConfiguration(path), {
    cacheDir: join(homedir(), 'images'),
    mirrors: ['https://mirror.example/images'],
    headers: { 'https://images.example': { authorization: 'Bearer x' } },
    limits: { retries: 9, idleTimeoutMs: 5000 },
    connections: 4,
    bytesPerSecond: 5_242_880,
    maxStoredBytes: 1_610_612_736,
    maxStoredBaseImages: 8,
    minimumTrust: 'published',
  });
});

test('it is looked for at the path that is given, at SMARTVM_CONFIG, in XDG_CONFIG_HOME; where it is not, nothing is configured', async (t) => {
  const path = await place(t, { connections: 3 });
  assert.deepEqual(await readConfiguration(path), { connections: 3 });
  process.env['XDG_CONFIG_HOME'] = dirname(dirname(path));
  assert.deepEqual(await readConfiguration(), { connections: 3 });
  process.env['SMARTVM_CONFIG'] = '/dev/null';
  assert.deepEqual(await readConfiguration(), {});
  process.env['SMARTVM_CONFIG'] = `${path}.gone`;
  assert.match((await refusal()).message, /config\.json\.gone: it is not there/);
  delete process.env['SMARTVM_CONFIG'];
  process.env['XDG_CONFIG_HOME'] = join(dirname(path), 'nowhere');
  assert.deepEqual(await readConfiguration(), {});
});

test('what an environment variable names is left to it', async (t) => {
  const bucketUrl = 'https://bucket.example';
  const path = await place(t, {
    cacheDir: '/a',
    bucketUrl,
    releasesUrl: bucketUrl,
    mirrors: ['direct'],
    connections: 2,
  });
  process.env['SMARTVM_CACHE_DIR'] = '/b';
  process.env['SMARTVM_MIRRORS'] = 'off';
  assert.deepEqual(await readConfiguration(path), { bucketUrl, releasesUrl: bucketUrl, connections: 2 });
});

const WRONG: readonly (readonly [title: string, content: unknown, message: RegExp])[] = [
  ['an unknown field', { cachedir: '/a' }, /config\.json: .*\n {2}the file: Unrecognized key: "cachedir"/],
  ['a field of another kind', { connections: 'four' }, /\n {2}connections: /],
  [
    'a field within a field',
    { limits: { retries: -1, speed: 1 } },
    /\n {2}limits\.retries: [^]*\n {2}limits: .*"speed"/,
  ],
  ['a relative folder', { cacheDir: 'images' }, /\n {2}cacheDir: must be absolute, or begin with ~\//],
  ['a rate that is none', { limitRate: 'fast' }, /\n {2}limitRate: must be bytes/],
  ['an address that is none', { bucketUrl: 'ftp://x/' }, /\n {2}bucketUrl: must be an http: or https: address/],
  ['a list', [], /\n {2}the file: /],
  ['no JSON', '{\n  "headers": { "h": { "authorization": "sesame" } },\n}', /it is no JSON \(line 3\)/],
];

for (const [title, content, message] of WRONG) {
  test(`a configuration that is wrong is refused with file and field: ${title}`, async (t) => {
    const error = await refusal(await place(t, content));
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /sesame/);
  });
}

test('a configuration with headers that others can read is refused, with the command that mends it', async (t) => {
  const path = await place(t, { headers: { 'images.example': { authorization: 'sesame' } } });
  for (const mode of [0o640, 0o604, 0o610]) {
    await chmod(path, mode);
    const error = await refusal(path);
    assert.match(error.message, new RegExp(`others can read it \\(mode 0${mode.toString(8)}\\)`));
    assert.equal(error.hint, `chmod 600 '${path}'`);
  }
  await chmod(path, 0o600);
  assert.ok((await readConfiguration(path)).headers);
  await writeFile(path, '{ "connections": 2 }');
  await chmod(path, 0o644);
  assert.deepEqual(await readConfiguration(path), { connections: 2 });
});

/** Reads the configuration as a user that this machine does not know. */
const HOMELESS = `
  const { readConfiguration } = await import(process.argv[1]);
  process.setgid(54321);
  process.setuid(54321);
  console.log(JSON.stringify(await readConfiguration()));
`;

test(
  'a user without a home, as in many containers, has no configuration and needs none',
  { skip: isRoot ? false : 'only root can become somebody whom nobody knows' },
  () => {
    const module = new URL('../src/configuration.ts', import.meta.url).href;
    const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', HOMELESS, module];
    // Coverage is written by the user that the child becomes, who may write nowhere.
    const env = { NODE_V8_COVERAGE: '' };
    const { stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    assert.deepEqual({ stdout, stderr }, { stdout: '{}\n', stderr: '' });
  },
);

test('an empty variable is none: the mirrors of the configuration are asked', async (t) => {
  const path = await place(t, { mirrors: ['no address'] });
  const env = { SMARTVM_CONFIG: path, SMARTVM_MIRRORS: '' };
  const { stderr } = await runBin(['ensure', './m.json'], { env });
  assert.match(stderr, /^INVALID_BASE_IMAGE_OPTIONS: mirrors must be addresses, .* got "no address"/);
});

test('for a command a flag beats a variable beats the configuration', async (t) => {
  const path = await place(t, { cacheDir: '/configured' });
  const cacheOf = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> => {
    const { stderr } = await runBin(['list', ...args], { env: { SMARTVM_CONFIG: path, ...env } });
    return /No images in (.*)\. Get/.exec(stderr)?.[1] ?? stderr;
  };
  assert.equal(await cacheOf([], {}), '/configured');
  assert.equal(await cacheOf([], { SMARTVM_CACHE_DIR: '/variable' }), '/variable');
  assert.equal(await cacheOf(['--cache-dir', '/flag'], { SMARTVM_CACHE_DIR: '/variable' }), '/flag');
  await writeFile(path, '{ "cachedir": "/a" }');
  assert.match(
    await cacheOf([], {}),
    /^INVALID_BASE_IMAGE_OPTIONS: Failed to read the configuration .*\n {4}the file: /,
  );
});

test('the published schema of configurations is the one that they are read with', async () => {
  assert.equal(await readFile(configurationSchemaPath, 'utf8'), configurationSchemaText());
});
