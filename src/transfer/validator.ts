import { isStrong } from './stream.ts';

/** What a stream says of itself so that another one can go on where it ended. */
export interface Validator {
  /** The address that gave the bytes. */
  readonly url: string;
  /** A strong ETag, quotes included. Absent: a digest has to decide. */
  readonly etag?: string | undefined;
}

export function writeValidator({ url, etag }: Validator): string {
  return JSON.stringify({ url, ...(etag === undefined ? {} : { etag }) });
}

/** Reads what `writeValidator` wrote, maybe long ago, maybe by another release: `undefined` for anything else. */
export function readValidator(text: string): Validator | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('url' in value) || typeof value.url !== 'string')
      return undefined;
    const etag = 'etag' in value && typeof value.etag === 'string' ? value.etag : undefined;
    return { url: value.url, etag: isStrong(etag) ? etag : undefined };
  } catch {
    return undefined;
  }
}
