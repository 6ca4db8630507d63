import { writeFile } from 'node:fs/promises';
import {
  configurationSchemaPath,
  configurationSchemaText,
  lockSchemaPath,
  lockSchemaText,
  schemaPath,
  schemaText,
} from './schemas.ts';

await writeFile(schemaPath, schemaText());
await writeFile(lockSchemaPath, lockSchemaText());
await writeFile(configurationSchemaPath, configurationSchemaText());
