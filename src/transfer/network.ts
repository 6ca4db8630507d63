import type { TransferLimits, TransferSettings } from '../settings.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { RateLimit } from './rate-limit.ts';
import { Slots } from './slots.ts';

/** What all transfers of one network share. */
interface Shared {
  readonly rate: RateLimit | undefined;
  readonly slots: Slots | undefined;
}

/** How one source speaks to the network: the settings, and what all of its transfers share. */
export class Network {
  readonly settings: TransferSettings;
  readonly #shared: Shared;

  constructor(settings: TransferSettings, shared: Shared = sharedBy(settings)) {
    this.settings = settings;
    this.#shared = shared;
  }

  /** The limits of one request: its own, else those that were set, else the defaults. */
  limits(own: Partial<TransferLimits> = {}): TransferLimits {
    return { ...DEFAULT_LIMITS, ...this.settings.limits, ...own };
  }

  /** What holds all transfers together to one rate; absent where there is none. */
  get rate(): RateLimit | undefined {
    return this.#shared.rate;
  }

  /** Places for the connections of artifacts; absent where each artifact may have one of its own. */
  get slots(): Slots | undefined {
    return this.#shared.slots;
  }

  /** The same, where these origins may be spoken to without TLS too. */
  allowing(origins: readonly string[]): Network {
    return new Network({ ...this.settings, allowHttp: [...this.settings.allowHttp, ...origins] }, this.#shared);
  }
}

function sharedBy({ bytesPerSecond, connections }: TransferSettings): Shared {
  return {
    rate: bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond),
    slots: connections === undefined ? undefined : new Slots(connections),
  };
}
