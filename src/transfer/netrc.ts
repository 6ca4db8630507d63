/** What a `.netrc` file says of one host. */
export interface Login {
  readonly login: string;
  readonly password: string;
}

/**
 * What the text of a `.netrc` file says of a host: the first entry with its name that has a login or a password.
 * `default` is nobody's entry: a password is only ever meant for a host that was named.
 */
export function loginFrom(text: string, host: string): Login | undefined {
  for (const entry of entriesOf(text)) {
    const { machine, login = '', password = '' } = entry;
    if (machine?.toLowerCase() === host.toLowerCase() && (login !== '' || password !== '')) return { login, password };
  }
  return undefined;
}

interface Entry {
  /** Absent for `default`. */
  readonly machine?: string;
  login?: string;
  password?: string;
}

function entriesOf(text: string): readonly Entry[] {
  const tokens = tokensOf(text);
  const entries: Entry[] = [];
  for (let index = 0; index < tokens.length; index += 1) {
    const entry = entries.at(-1);
    const value = tokens[index + 1];
    switch (tokens[index]) {
      case 'default':
        entries.push({});
        continue;
      case 'machine':
        entries.push({ machine: value ?? '' });
        break;
      case 'login':
        if (entry !== undefined && value !== undefined) entry.login ??= value;
        break;
      case 'password':
        if (entry !== undefined && value !== undefined) entry.password ??= value;
        break;
      case 'account':
        break;
      default:
        continue;
    }
    index += 1;
  }
  return entries;
}

/**
 * Words of the file, without lines of comment and macros: `macdef` and all up to the next empty line. Words may stand in double
 * quotes, where a backslash makes the next character mean itself, and `\n`, `\r`, `\t` what they mean elsewhere.
 */
function tokensOf(text: string): readonly string[] {
  const tokens: string[] = [];
  let isMacro = false;
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') isMacro = false;
    if (isMacro || line.trimStart().startsWith('#')) continue;
    for (const [word, quoted] of line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)) {
      if (word === 'macdef') {
        isMacro = true;
        break;
      }
      tokens.push(quoted?.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter) ?? word);
    }
  }
  return tokens;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
