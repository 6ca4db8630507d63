/**
 * The first key that one object of this JSON text has twice, `undefined` when there is none. `JSON.parse` silently takes the last,
 * other readers the first: such a text means two things. The text must be valid JSON; depth does not matter.
 */
export function duplicateKey(json: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let keyIsNext = false;
  for (const { 0: token } of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/gs)) {
    if (token === '{' || token === '[') open.push(token === '{' ? new Set() : undefined);
    if (token === '}' || token === ']') open.pop();
    const keys = open.at(-1);
    if (keyIsNext && token.startsWith('"') && keys !== undefined) {
      const key = String(JSON.parse(token));
      if (keys.has(key)) return key;
      keys.add(key);
    }
    keyIsNext = keys !== undefined && (token === '{' || token === ',');
  }
  return undefined;
}
