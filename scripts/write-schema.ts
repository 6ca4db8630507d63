import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { hostedManifest } from '../src/sources/hosted-manifest/schema.ts';

const schema = {
  $id: 'hosted-manifest.schema.json',
  title: 'smartvm hosted manifest, version 1',
  ...z.toJSONSchema(hostedManifest, { io: 'input' }),
};
await writeFile(
  new URL('../schema/hosted-manifest.schema.json', import.meta.url),
  `${JSON.stringify(schema, null, 2)}\n`,
);
