import { XmlElement, parseXml } from '@rgrove/parse-xml';

/** What a listing says about an object. */
export interface ListedObject {
  readonly key: string;
  /** Absent for what was not listed but is known to be there. */
  readonly bytes?: number;
  /** Quotes included; absent when the server gives none. */
  readonly etag?: string;
  /** Milliseconds since 1970. */
  readonly modifiedAtMs: number;
}

export interface ListingPage {
  readonly objects: readonly ListedObject[];
  readonly folders: readonly string[];
  /** To be sent for the next page; absent on the last one. */
  readonly nextToken?: string;
}

/**
 * Reads one page of S3's ListObjectsV2. Escapes are decoded once.
 *
 * @throws Error saying what is wrong when it is none: another document, S3's own `Error`, cut or unreadable XML.
 */
export function parseListingPage(bytes: Uint8Array): ListingPage {
  const root = parseRoot(bytes);
  if (root.name === 'Error') throw new Error(`the bucket says ${optionalText(root, 'Code') ?? 'Error'}: ${said(root)}`);
  if (root.name !== 'ListBucketResult') throw new Error(`expected a ListBucketResult, got <${root.name.slice(0, 60)}>`);
  const nextToken = optionalText(root, 'NextContinuationToken');
  if (optionalText(root, 'IsTruncated') === 'true' && !nextToken) {
    throw new Error('it is cut off without saying how to go on (IsTruncated without NextContinuationToken)');
  }
  return {
    objects: elements(root, 'Contents').map(objectFrom),
    folders: elements(root, 'CommonPrefixes').map((element) => text(element, 'Prefix')),
    ...(optionalText(root, 'IsTruncated') === 'true' && nextToken ? { nextToken } : {}),
  };
}

function parseRoot(bytes: Uint8Array): XmlElement {
  const source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (/<!(?:DOCTYPE|ENTITY)/i.test(source)) throw new Error('it declares a document type, which no listing does');
  const { root } = parseXml(source);
  if (root === null) throw new Error('it is empty');
  return root;
}

function objectFrom(element: XmlElement): ListedObject {
  const key = text(element, 'Key');
  const size = text(element, 'Size').trim();
  const bytes = Number(size);
  if (!/^\d+$/.test(size) || !Number.isSafeInteger(bytes)) {
    throw new Error(`the size of ${JSON.stringify(key.slice(0, 200))} is ${JSON.stringify(size.slice(0, 40))}`);
  }
  const etag = optionalText(element, 'ETag');
  const modifiedAtMs = Date.parse(optionalText(element, 'LastModified') ?? '');
  return {
    key,
    bytes,
    ...(etag !== undefined && isEtag(etag) ? { etag } : {}),
    modifiedAtMs: Number.isNaN(modifiedAtMs) ? 0 : modifiedAtMs,
  };
}

/** What can be sent back in a header, and names one content: a strong ETag (RFC 9110, 8.8.3). */
function isEtag(text: string): boolean {
  return /^"[\x21\x23-\x7e]{1,200}"$/.test(text);
}

function said(root: XmlElement): string {
  return JSON.stringify((optionalText(root, 'Message') ?? '').slice(0, 200));
}

function elements(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((child) => child instanceof XmlElement && child.name === name) as XmlElement[];
}

function text(parent: XmlElement, name: string): string {
  const found = optionalText(parent, name);
  if (found === undefined) throw new Error(`a <${parent.name}> has no <${name}>`);
  return found;
}

function optionalText(parent: XmlElement, name: string): string | undefined {
  return elements(parent, name)[0]?.text;
}
