import { writeFile } from 'node:fs/promises';
import { lockSchemaPath, lockSchemaText, schemaPath, schemaText } from './schemas.ts';

await writeFile(schemaPath, schemaText());
await writeFile(lockSchemaPath, lockSchemaText());
