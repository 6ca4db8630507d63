/** A value as JSON of several lines, ended by a newline, without any character that a terminal would obey. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  const safe = text.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${safe}\n`;
}
