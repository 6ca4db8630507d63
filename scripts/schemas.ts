import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { configuration } from '../src/configuration/schema.ts';
import { lockFile } from '../src/lockfile/schema.ts';
import { hostedManifest } from '../src/sources/hosted-manifest/schema.ts';

/** Where the published JSON Schema of hosted manifests lies. */
export const schemaPath: string = pathOf('hosted-manifest.schema.json');
/** Where that of lock files lies. */
export const lockSchemaPath: string = pathOf('lock.schema.json');

/** And that of configuration files. */
export const configurationSchemaPath: string = pathOf('configuration.schema.json');

/** What has to be in the one of manifests: made from the schema that they are read with. */
export function schemaText(): string {
  return textOf('hosted-manifest.schema.json', 'smartvm hosted manifest, version 1', hostedManifest);
}

/** The same for lock files. */
export function lockSchemaText(): string {
  return textOf('lock.schema.json', 'smartvm.lock, version 1', lockFile);
}

/** The same for configuration files. */
export function configurationSchemaText(): string {
  return textOf('configuration.schema.json', 'smartvm configuration, version 1', configuration);
}

function textOf($id: string, title: string, schema: z.ZodType): string {
  return `${JSON.stringify({ $id, title, ...z.toJSONSchema(schema, { io: 'input' }) }, null, 2)}\n`;
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../schema/${name}`, import.meta.url));
}
