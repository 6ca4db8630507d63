/** What steers a terminal or turns the order of its letters: C0 and C1 controls, line separators, directional overrides. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Text from anywhere as one line that a terminal shows and does not obey: control characters become visible escapes. */
export function plainLine(text: string): string {
  return text.replace(CONTROLS, (character) =>
    character === '\n' || character === '\t' ? ' ' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The same for text of several lines; every line but the first is indented, so that none can pass for one of ours. */
export function plainLines(text: string): string {
  return text.split('\n').map(plainLine).join('\n  ');
}
