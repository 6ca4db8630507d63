/** A value as JSON of several lines, ended by a newline, without any character that a terminal would obey. */
export function toJson(value: unknown): string {
  return `${safely(JSON.stringify(value, null, 2))}\n`;
}

/** The same in one line. */
export function toJsonLine(value: unknown): string {
  return `${safely(JSON.stringify(value))}\n`;
}

function safely(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
