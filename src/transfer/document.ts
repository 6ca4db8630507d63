import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import { orDestroyed, refuseEncoding } from './answer.ts';
import { Body } from './body.ts';
import { lengthOf } from './range.ts';
import { request, type Answer, type RequestOptions } from './request.ts';
import { tryAgain } from './retry.ts';

export interface DocumentOptions extends RequestOptions {
  /** Nothing larger is read. Default: the limit of the network. */
  readonly maxBytes?: number | undefined;
  /** Value of the `Accept` header. */
  readonly accept?: string | undefined;
}

export interface RemoteDocument {
  readonly body: Buffer;
  readonly contentType?: string;
  readonly etag?: string;
  readonly finalUrl: string;
}

/**
 * Reads a small document whole, from its beginning again when it breaks. Rejects as `openStream`, and with
 * `TRANSFER_TOO_LARGE` beyond `maxBytes`.
 */
export async function getDocument(address: string, options: DocumentOptions): Promise<RemoteDocument> {
  const { network, accept, signal, onRetry } = options;
  const limits = network.limits(options.limits);
  const { maxBytes = limits.maxDocumentBytes } = options;
  const headers = { ...options.headers, ...(accept === undefined ? {} : { accept }) };
  // The loop around the whole has the tries; one inside it would multiply them.
  return await tryAgain({ signal, limits, onRetry }, async (onHost) => {
    const answer = await request(address, { ...options, headers, onHost, limits: { ...limits, retries: 0 } });
    return await orDestroyed(answer, async () => {
      refuseEncoding(answer);
      const declaredBytes = lengthOf(answer);
      if (declaredBytes !== undefined && declaredBytes > maxBytes) throw tooLarge(answer, declaredBytes, maxBytes);
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of new Body(answer, { signal, declaredBytes })) {
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw tooLarge(answer, bytes, maxBytes);
        chunks.push(chunk);
      }
      const { etag, 'content-type': contentType } = answer.headers;
      return {
        body: Buffer.concat(chunks),
        finalUrl: answer.finalUrl,
        ...(contentType === undefined ? {} : { contentType }),
        ...(etag === undefined ? {} : { etag }),
      };
    });
  });
}

/** The address that another one leads to, by a HEAD that follows redirects. Rejects as `request`. */
export async function resolveRedirect(address: string, options: RequestOptions): Promise<string> {
  const answer = await request(address, { ...options, method: 'HEAD' });
  answer.body.destroy();
  return answer.finalUrl;
}

function tooLarge({ finalUrl }: Answer, bytes: number, maxBytes: number): SmartVMError {
  return new SmartVMError(
    `${shown(finalUrl)} is ${bytes} bytes or more, and at most ${maxBytes} are read`,
    'TRANSFER_TOO_LARGE',
    { hint: 'This is not the document that was asked for: check the address.' },
  );
}
