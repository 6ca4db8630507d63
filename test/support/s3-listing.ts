/** What a listing says about an object. */
export interface ListedFact {
  readonly key: string;
  readonly lastModified: string;
  readonly etag: string;
  readonly listedBytes: number;
}

/**
 * One page of ListObjectsV2 as S3 writes it: one line after the declaration, elements in its order, quotes of ETags escaped, a
 * folder counted as one key, keys in the order of their bytes.
 */
export function listObjects(
  bucket: string,
  objects: readonly ListedFact[],
  query: URLSearchParams,
  pageSize: number,
): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const token = query.get('continuation-token');
  const after = token === null ? '' : Buffer.from(token, 'base64url').toString('utf8');
  const maxKeys = Math.min(Number(query.get('max-keys') ?? 1000), 1000, pageSize);

  const entries = new Map<string, ListedFact | undefined>();
  for (const object of [...objects].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))) {
    if (!object.key.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length);
    if (cut === -1) entries.set(object.key, object);
    else entries.set(object.key.slice(0, cut + delimiter.length), undefined);
  }
  const left = [...entries].filter(
    ([name]) => after === '' || Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0,
  );
  const page = left.slice(0, maxKeys);
  const next = left.length > page.length ? page.at(-1)?.[0] : undefined;

  const contents = page.flatMap(([, object]) => (object === undefined ? [] : [contentsOf(object)]));
  const folders = page.flatMap(([name, object]) =>
    object === undefined ? [`<CommonPrefixes><Prefix>${escape(name)}</Prefix></CommonPrefixes>`] : [],
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${escape(bucket)}</Name><Prefix>${escape(prefix)}</Prefix>`,
    next === undefined ? '' : `<NextContinuationToken>${tokenOf(next)}</NextContinuationToken>`,
    `<KeyCount>${page.length}</KeyCount><MaxKeys>${maxKeys}</MaxKeys>`,
    delimiter === '' ? '' : `<Delimiter>${escape(delimiter)}</Delimiter>`,
    `<IsTruncated>${next !== undefined}</IsTruncated>`,
    ...contents,
    ...folders,
    '</ListBucketResult>',
  ].join('');
}

function contentsOf({ key, lastModified, etag, listedBytes }: ListedFact): string {
  return [
    `<Contents><Key>${escape(key)}</Key><LastModified>${lastModified}</LastModified><ETag>${escape(etag)}</ETag>`,
    '<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>',
    `<Size>${listedBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  ].join('');
}

function tokenOf(name: string): string {
  return Buffer.from(name, 'utf8').toString('base64url');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
