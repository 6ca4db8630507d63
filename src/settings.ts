/** How long and how far a transfer may go; every one of them has a default. */
export interface TransferLimits {
  /** Until the connection, with its proxy and its TLS, stands. Default 10,000. */
  readonly connectTimeoutMs: number;
  /** From then until the answer begins. Default 15,000. */
  readonly firstByteTimeoutMs: number;
  /** Between two pieces of the body. Default 30,000. */
  readonly idleTimeoutMs: number;
  /** A body slower than this over `lowSpeedMs` is given up. Default 1000. */
  readonly lowSpeedBytesPerSecond: number;
  /** Default 30,000. */
  readonly lowSpeedMs: number;
  /** Default 5. */
  readonly maxRedirects: number;
  /** How often what may pass is tried again: a request, or the rest of a body that broke without getting further. Default 4. */
  readonly retries: number;
  /** The longest `Retry-After` that is waited for. Default 60,000. */
  readonly maxRetryAfterMs: number;
  /** The largest document (a manifest, a page of a listing) that is read, where its reader sets no lower limit. Default 8 MiB. */
  readonly maxDocumentBytes: number;
}

/** How the network is spoken to. */
export interface TransferSettings {
  /** Origins (`http://mirror.lan:8080`) that may be spoken to without TLS; loopback always may. */
  readonly allowHttp: readonly string[];
  readonly limits?: Partial<TransferLimits> | undefined;
  /** Other places for bytes whose digest is known, in the order in which they are asked; see docs/network.md. */
  readonly mirrors?: readonly string[] | undefined;
  /** How many connections artifacts may have at once, all together. Default: one for each. */
  readonly connections?: number | undefined;
  /** All transfers together are no faster than this. Default: as fast as it goes. */
  readonly bytesPerSecond?: number | undefined;
  /** Header fields for one origin (`https://images.example`, or a host for its https) each, and for nobody else. */
  readonly headers?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  /**
   * Where proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), authorities (`SSL_CERT_FILE`, `NODE_EXTRA_CA_CERTS`) and
   * `NETRC` are read from. Default: none of them is in force.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

/** What a manager tells the sources that it makes. */
export interface SourceSettings extends TransferSettings {
  /** Address of an S3 bucket laid out like Firecracker's, without a trailing slash. */
  readonly bucketUrl: string;
  /** Address that redirects to the newest Firecracker release. */
  readonly releasesUrl: string;
}
