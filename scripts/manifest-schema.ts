import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { hostedManifest } from '../src/sources/hosted-manifest/schema.ts';

/** Where the published JSON Schema of hosted manifests lies. */
export const schemaPath: string = fileURLToPath(new URL('../schema/hosted-manifest.schema.json', import.meta.url));

/** What has to be in it: made from the schema that manifests are read with. */
export function schemaText(): string {
  const schema = {
    $id: 'hosted-manifest.schema.json',
    title: 'smartvm hosted manifest, version 1',
    ...z.toJSONSchema(hostedManifest, { io: 'input' }),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
