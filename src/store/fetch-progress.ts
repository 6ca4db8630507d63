import type { Artifact, ArtifactRole, ArtifactStream, Context } from '../image.ts';
import { Pace } from './pace.ts';

/** Tells how one artifact comes along. */
export class FetchProgress {
  readonly #pace: Pace;
  readonly #report: (bytes: number, bytesPerSecond: number | undefined) => void;

  constructor(
    role: ArtifactRole,
    { fileName, bytes: totalBytes }: Artifact,
    stream: Pick<ArtifactStream, 'source'>,
    resumedBytes: number,
    { onProgress }: Context,
  ) {
    this.#pace = new Pace(resumedBytes, performance.now());
    this.#report = (bytes, bytesPerSecond) => {
      // Asked anew each time: a stream may go on somewhere else.
      const { source } = stream;
      onProgress({
        phase: 'fetch',
        role,
        fileName,
        bytes,
        ...(totalBytes === undefined ? {} : { totalBytes }),
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
        ...(resumedBytes === 0 ? {} : { resumedBytes }),
        ...(source === undefined ? {} : { source }),
      });
    };
  }

  /** So many bytes of it are written and hashed. */
  report(bytes: number): void {
    this.#report(bytes, this.#pace.perSecond(bytes, performance.now()));
  }
}

/** The same context, where what is said about tries names the artifact that they are for. */
export function passingRetries(context: Context, role: ArtifactRole, { fileName }: Artifact): Context {
  const onProgress: Context['onProgress'] = (event) =>
    context.onProgress(event.phase === 'retry' ? { ...event, role, fileName } : event);
  return { ...context, onProgress };
}
