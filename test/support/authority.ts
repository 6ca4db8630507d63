import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A certificate and its key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority of our own, that no system knows. */
export interface Authority {
  /** Its own certificate as a file. */
  readonly path: string;
  /** A certificate for a host. `isExpired`: it was good until yesterday. */
  issue(host: string, options?: { readonly isExpired?: boolean }): Promise<Certificate>;
  /** A certificate that a host gave itself. */
  selfSigned(host: string): Promise<Certificate>;
  /** Removes what it wrote. */
  close(): Promise<void>;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Starts an authority, with `openssl`. */
export async function startAuthority(): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'smartvm-authority-'));
  const [caKey, path] = [join(folder, 'ca.key'), join(folder, 'ca.pem')];
  await run('openssl', ['req', '-x509', ...KEY, '-keyout', caKey, '-out', path, '-subj', '/CN=smartvm test authority']);
  let count = 0;
  const make = async (host: string, more: readonly string[]): Promise<Certificate> => {
    count += 1;
    const [key, cert] = [join(folder, `${count}.key`), join(folder, `${count}.pem`)];
    const name = /^[\d.]+$/.test(host) ? `IP:${host}` : `DNS:${host}`;
    const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=${name}`];
    await run('openssl', ['req', '-x509', ...KEY, '-keyout', key, '-out', cert, ...subject, ...more]);
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  };
  return {
    path,
    issue: (host, { isExpired = false } = {}) =>
      isExpired ? makeExpired(folder, host, [caKey, path]) : make(host, ['-CA', path, '-CAkey', caKey]),
    selfSigned: (host) => make(host, []),
    close: () => rm(folder, { recursive: true }),
  };
}

/** `openssl req` cannot date back; `openssl x509` takes a negative number of days. */
async function makeExpired(folder: string, host: string, [caKey, ca]: readonly [string, string]): Promise<Certificate> {
  const [key, request, cert] = ['expired.key', 'expired.csr', 'expired.pem'].map((name) => join(folder, name));
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
  await run('openssl', ['req', '-new', ...KEY, '-keyout', key ?? '', '-out', request ?? '', ...subject]);
  const issuer = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-copy_extensions', 'copy', '-days', '-1'];
  await run('openssl', ['x509', '-req', '-in', request ?? '', ...issuer, '-out', cert ?? '']);
  return { cert: await readFile(cert ?? '', 'utf8'), key: await readFile(key ?? '', 'utf8') };
}
