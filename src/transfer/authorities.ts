import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { SmartVMError, messageOf } from '../errors.ts';
import type { TransferSettings } from '../settings.ts';

/** Who may say which host is which. */
export class Authorities {
  readonly #env: TransferSettings['env'];
  #context: Promise<SecureContext> | undefined;

  constructor(env: TransferSettings['env']) {
    this.#env = env;
  }

  /**
   * What TLS is to believe: the certificates of `SSL_CERT_FILE` instead of those that Node brings, and those of
   * `NODE_EXTRA_CA_CERTS`. `undefined` where `SSL_CERT_FILE` is not set: Node has read the other variable itself.
   *
   * Rejects with `TRANSFER_NETWORK` when a file cannot be read.
   */
  async context(): Promise<SecureContext | undefined> {
    if (!this.#env?.['SSL_CERT_FILE']) return undefined;
    this.#context ??= this.#read(['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']);
    try {
      return await this.#context;
    } catch (error) {
      this.#context = undefined;
      throw error;
    }
  }

  async #read(variables: readonly string[]): Promise<SecureContext> {
    const ca: string[] = [];
    for (const variable of variables) {
      const path = this.#env?.[variable];
      if (path) ca.push(await certificates(variable, path));
    }
    return createSecureContext({ ca });
  }
}

async function certificates(variable: string, path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    const found = text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^]*?-----END [^-]*-----/g) ?? [];
    if (!found.some(isCertificate)) throw new Error('there is no certificate in it');
    return text;
  } catch (error) {
    throw new SmartVMError(
      `Failed to read the authorities in ${variable}=${path}: ${messageOf(error)}`,
      'TRANSFER_NETWORK',
      { cause: error, hint: `${variable} names a file of certificates in PEM form: correct it, or unset it.` },
    );
  }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
