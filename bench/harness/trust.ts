/** The environment of a program that has to trust a certificate; empty where there is none. */
export function trusting(certPath: string | undefined): Readonly<Record<string, string>> {
  return certPath === undefined ? {} : { SSL_CERT_FILE: certPath, NODE_EXTRA_CA_CERTS: certPath };
}
