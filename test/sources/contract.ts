import type { ImageSource, ResolveRequest } from '../../src/image.ts';

/** A source that is ready to be asked, with everything it needs standing. */
export interface PreparedSource {
  readonly source: ImageSource;
  readonly locator: string;
  readonly request: Partial<ResolveRequest>;
  /** Takes down what was set up. */
  close(): Promise<void>;
  /** Why this source cannot be tried on this machine. */
  readonly unavailable?: string;
}

/** What every `test/sources/<scheme>.fixture.ts` exports as `fixture`. */
export interface SourceFixture {
  prepare(): Promise<PreparedSource>;
}
