import { writeFile } from 'node:fs/promises';
import { schemaPath, schemaText } from './manifest-schema.ts';

await writeFile(schemaPath, schemaText());
