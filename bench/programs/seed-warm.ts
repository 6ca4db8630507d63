import { seedHash } from './lib/seed-hash.ts';

// A hit as the first version of this library had it: both files hashed again.
await Promise.all(process.argv.slice(2).map(seedHash));
