import { SmartVMError, isAbortError, messageOf, systemCode } from '../errors.ts';
import { shownProxy, type Proxy } from './proxy.ts';

const PASSING_TROUBLE: readonly string[] = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
];

/** What a failed connection is told as. Cancellation passes through. */
export function networkFailure(url: URL, error: unknown, proxy?: Proxy): unknown {
  if (error instanceof SmartVMError || isAbortError(error)) return error;
  const certificateHint = certificateWayOut(error);
  const what = whatHappened(error);
  return new SmartVMError(
    `Failed to reach ${url.host}${behind(proxy)}: ${certificateHint === undefined ? what : `its certificate is not accepted: ${what}`}`,
    'TRANSFER_NETWORK',
    {
      cause: error,
      hint: certificateHint ?? 'Check the network and the address; with --offline the cache alone is asked.',
      retryable: isPassing(error),
    },
  );
}

/** What a failed connection to a proxy is told as. Cancellation passes through. */
export function proxyFailure(url: URL, error: unknown, proxy: Proxy): unknown {
  if (error instanceof SmartVMError || isAbortError(error)) return error;
  return new SmartVMError(
    `Failed to reach ${shownProxy(proxy)} for ${url.host}: ${whatHappened(error)}`,
    'TRANSFER_NETWORK',
    { cause: error, hint: certificateWayOut(error) ?? proxyHint(proxy), retryable: isPassing(error) },
  );
}

/** The error for a step that took too long. */
export function tooLate(step: string, url: URL, limitMs: number, proxy: Proxy | undefined): SmartVMError {
  return new SmartVMError(
    `Failed to ${step} ${url.host}${behind(proxy)} within ${limitMs / 1000} s`,
    'TRANSFER_TIMEOUT',
    {
      retryable: true,
      hint: proxy === undefined ? 'Check the network and the address, and ask again.' : proxyHint(proxy),
    },
  );
}

/** ` through the proxy proxy.lan:3128 (HTTPS_PROXY)`, or nothing. */
export function behind(proxy: Proxy | undefined, comma = ''): string {
  return proxy === undefined ? '' : `${comma} through ${shownProxy(proxy)}${comma}`;
}

/** The way out when it is the proxy that fails. */
export function proxyHint({ variable }: Proxy): string {
  return `Check ${variable}, or except the host with NO_PROXY.`;
}

function whatHappened(error: unknown): string {
  return messageOf(error) || (systemCode(error) ?? 'it broke');
}

function isPassing(error: unknown): boolean {
  return PASSING_TROUBLE.includes(systemCode(error) ?? '');
}

/** The way out when it is the certificate that is wrong. */
function certificateWayOut(error: unknown): string | undefined {
  const code = systemCode(error) ?? '';
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'Whoever runs the host has to renew it; check the clock of this machine too.';
    case 'CERT_NOT_YET_VALID':
      return 'Check the clock of this machine.';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'It was made out to other names: check the address.';
    default:
      return /CERT|SIGNATURE|ISSUER/.test(code)
        ? 'For a private authority name its certificate with NODE_EXTRA_CA_CERTS, or all of them with SSL_CERT_FILE; else check the address.'
        : undefined;
  }
}
