import { SmartVMError } from '../../errors.ts';
import type { ResolveRequest } from '../../image.ts';
import { listBucket, type Listing, type Site } from './bucket.ts';
import { compareNatural } from './natural-order.ts';
import { newestRelease } from './release.ts';
import { describeWish, type Wish } from './selection.ts';
import { contentOf, describeContent, isComplete, type SetContent } from './set-content.ts';
import { SETS, dayOf, isDatedSet, isReleaseSet, setNameOf, type WantedSet } from './set-name.ts';

/** A set that holds a kernel and a root file system. */
export interface FoundSet {
  /** `v1.15` or `20260923-6f82ac4cf331-0`. */
  readonly name: string;
  readonly content: SetContent;
  /** The release it is for; absent when the set was named by its date, which says nothing about releases. */
  readonly firecrackerVersion?: string;
  /** How it was found, in words. */
  readonly why: readonly string[];
}

/** The preset `lts` of the earlier class. */
const LTS: WantedSet = { kind: 'release', name: 'v1.7' };
const MAX_DAYS = 40;

/**
 * Finds the folder that is wanted.
 *
 * Rejects with `VERSION_FETCH_FAILED` (`latest` alone looks a release up) and `BASE_IMAGE_RESOLVE_FAILED`, which tells what was
 * looked at and what each lacked.
 */
export async function findSet(wanted: WantedSet, wish: Wish, site: Site, request: ResolveRequest): Promise<FoundSet> {
  const search = new Search(wish, site, request);
  switch (wanted.kind) {
    case 'latest':
      return await search.latest();
    case 'stable':
      return await search.newest();
    case 'lts':
      return await findSet(LTS, wish, site, request);
    case 'release':
      return { ...(await search.named(wanted.name)), firecrackerVersion: `${wanted.name}.0` };
    case 'dated':
      return await search.named(wanted.name);
    case 'day':
      return await search.day(wanted.day);
  }
}

/** Looks at folders and keeps what it saw, to explain why nothing was found. */
class Search {
  readonly #wish: Wish;
  readonly #site: Site;
  readonly #request: ResolveRequest;
  readonly #seen: string[] = [];
  #folders: Promise<Listing> | undefined;

  constructor(wish: Wish, site: Site, request: ResolveRequest) {
    this.#wish = wish;
    this.#site = site;
    this.#request = request;
  }

  async latest(): Promise<FoundSet> {
    const firecrackerVersion = await newestRelease(this.#site, this.#request);
    const own = firecrackerVersion.slice(0, firecrackerVersion.lastIndexOf('.'));
    const set = (await this.#look(own)) ?? (await this.#newestDated()) ?? (await this.#olderThan(own));
    if (set === undefined) throw this.#nothing();
    return { ...set, firecrackerVersion, why: [`the newest release is ${firecrackerVersion}`, ...set.why] };
  }

  /** The newest complete dated set, else the newest complete folder of a release; no release is looked up. */
  async newest(): Promise<FoundSet> {
    const set = (await this.#newestDated()) ?? (await this.#olderThan('v999999.0'));
    if (set === undefined) throw this.#nothing();
    return set;
  }

  async named(name: string): Promise<FoundSet> {
    const set = await this.#look(name);
    if (set === undefined) throw this.#nothing();
    return set;
  }

  async day(day: string): Promise<FoundSet> {
    const names = await this.#names(`${SETS}${day}-`, isDatedSet, 'dated set');
    const set = await this.#newestOf(names);
    if (set === undefined) throw this.#nothing();
    return set;
  }

  async #newestDated(): Promise<FoundSet | undefined> {
    const names = await this.#names(SETS, isDatedSet, 'dated set');
    const days = [...new Set(names.map(dayOf))].sort().reverse();
    for (const day of days.slice(0, MAX_DAYS)) {
      const set = await this.#newestOf(names.filter((name) => dayOf(name) === day));
      if (set !== undefined) return set;
    }
    if (days.length > MAX_DAYS) this.#seen.push(`older dated sets than the last ${MAX_DAYS} were not looked at`);
    return undefined;
  }

  async #olderThan(release: string): Promise<FoundSet | undefined> {
    const isOlder = (name: string): boolean => isReleaseSet(name) && compareNatural(name, release) < 0;
    const names = await this.#names(SETS, isOlder, `set of a release before ${release}`);
    for (const name of names.sort(compareNatural).reverse()) {
      const set = await this.#look(name);
      if (set === undefined) continue;
      const warning = `Neither ${release} nor any dated set is complete for ${this.#request.arch}; taking ${name}.`;
      this.#request.logger.warn(warning);
      return { ...set, why: [...set.why, warning] };
    }
    return undefined;
  }

  /** Of sets of one day the one that was finished last: their names end in a hash, which says nothing about time. */
  async #newestOf(names: readonly string[]): Promise<FoundSet | undefined> {
    const sets = await Promise.all(names.map((name) => this.#look(name)));
    return sets
      .filter((set) => set !== undefined)
      .sort((a, b) => finishedAtMs(a) - finishedAtMs(b) || compareNatural(a.name, b.name))
      .at(-1);
  }

  async #look(name: string): Promise<FoundSet | undefined> {
    const listing = await listBucket(this.#site, `${SETS}${name}/${this.#request.arch}/`, this.#request);
    const content = contentOf(listing, this.#wish);
    if (isComplete(content, this.#wish)) {
      const [kernels, roots] = [content.kernels, content.rootfses].map((all) => all.map((one) => one.name).join(', '));
      return { name, content, why: [...this.#seen, `${content.prefix} is complete: ${kernels ?? ''}; ${roots ?? ''}`] };
    }
    this.#seen.push(describeContent(content, this.#wish));
    return undefined;
  }

  async #names(prefix: string, isWanted: (name: string) => boolean, kind: string): Promise<string[]> {
    this.#folders ??= listBucket(this.#site, prefix, this.#request);
    const { folders } = await this.#folders;
    const names = folders.map(setNameOf).filter(isWanted);
    if (names.length === 0) this.#seen.push(`among the ${folders.length} folders ${prefix}* is no ${kind}`);
    return names;
  }

  #nothing(): SmartVMError {
    const seen = this.#seen.length > 8 ? [...this.#seen.slice(0, 7), `and ${this.#seen.length - 7} more`] : this.#seen;
    const wished = describeWish(this.#wish);
    const what = wished === '' ? 'complete set' : `set with ${wished}`;
    return new SmartVMError(
      `${this.#site.bucketUrl} has no ${what} for ${this.#request.arch}: ${seen.join('; ')}`,
      'BASE_IMAGE_RESOLVE_FAILED',
      {
        hint: 'Ask for `latest`, name another set (`smartvm ensure v1.15`), or build one here: `smartvm ensure debian`.',
      },
    );
  }
}

function finishedAtMs({ content }: FoundSet): number {
  return Math.max(...[...content.kernels, ...content.rootfses].map(({ modifiedAtMs }) => modifiedAtMs));
}
