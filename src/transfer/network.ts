import type { TransferLimits, TransferSettings } from '../settings.ts';
import { Authorities } from './authorities.ts';
import { Credentials } from './credentials.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';
import { Slots } from './slots.ts';

/** What all transfers of one network share. */
interface Shared {
  readonly authorities: Authorities;
  readonly credentials: Credentials;
  /** What holds all transfers together to one rate; absent where there is none. */
  readonly rate: RateLimit | undefined;
  /** Places for the connections of artifacts; absent where each artifact may have one of its own. */
  readonly slots: Slots | undefined;
}

/** How one source speaks to the network: the settings, and what all of its transfers share. */
export class Network implements Shared {
  readonly settings: TransferSettings;
  readonly authorities: Authorities;
  readonly credentials: Credentials;
  readonly rate: RateLimit | undefined;
  readonly slots: Slots | undefined;

  constructor(settings: TransferSettings, shared: Shared = sharedBy(settings)) {
    this.settings = settings;
    this.authorities = shared.authorities;
    this.credentials = shared.credentials;
    this.rate = shared.rate;
    this.slots = shared.slots;
  }

  /** The limits of one request: its own, else those that were set, else the defaults. */
  limits(own: Partial<TransferLimits> = {}): TransferLimits {
    return { ...DEFAULT_LIMITS, ...this.settings.limits, ...own };
  }

  /** The same, where these origins may be spoken to without TLS too. */
  allowing(origins: readonly string[]): Network {
    return new Network({ ...this.settings, allowHttp: [...this.settings.allowHttp, ...origins] }, this);
  }
}

function sharedBy(settings: TransferSettings): Shared {
  const { env, bytesPerSecond, connections } = settings;
  return {
    authorities: new Authorities(env),
    credentials: new Credentials(settings),
    rate: bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond),
    slots: connections === undefined ? undefined : new Slots(connections),
  };
}
