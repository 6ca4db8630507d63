import type { TransferLimits, TransferSettings } from '../settings.ts';
import { Authorities } from './authorities.ts';
import { Credentials } from './credentials.ts';
import { DEFAULT_LIMITS } from './limits.ts';

/** How one source speaks to the network: the settings, and what all of its transfers share. */
export class Network {
  readonly settings: TransferSettings;
  readonly authorities: Authorities;
  readonly credentials: Credentials;

  constructor(settings: TransferSettings) {
    this.settings = settings;
    this.authorities = new Authorities(settings.env);
    this.credentials = new Credentials(settings);
  }

  /** The limits of one request: its own, else those that were set, else the defaults. */
  limits(own: Partial<TransferLimits> = {}): TransferLimits {
    return { ...DEFAULT_LIMITS, ...this.settings.limits, ...own };
  }

  /** The same, where these origins may be spoken to without TLS too. */
  allowing(origins: readonly string[]): Network {
    return new Network({ ...this.settings, allowHttp: [...this.settings.allowHttp, ...origins] });
  }
}
