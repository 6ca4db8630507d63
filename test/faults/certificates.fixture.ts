import type { TestContext } from 'node:test';
import { startAuthority, type Authority } from '../support/authority.ts';

/** An authority that ends with the test. */
export async function authorityOf(t: TestContext): Promise<Authority> {
  const authority = await startAuthority();
  t.after(() => authority.close());
  return authority;
}

/** Sets variables of this process until the test has ended. */
export function setEnv(t: TestContext, variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before;
    });
  }
}
