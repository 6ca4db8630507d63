import { SmartVMError } from '../errors.ts';
import type { Artifact, ArtifactRole, ArtifactStream, Context } from '../image.ts';
import type { Content } from './blobs.ts';
import { FetchProgress, passingRetries } from './fetch-progress.ts';
import { ingest, isMismatch } from './ingest.ts';
import type { PartialPaths } from './layout.ts';
import { PartialFile } from './partial-file.ts';

/** What is taken from a source that does not say how much it will give. */
const MAX_BYTES: Readonly<Record<ArtifactRole, number>> = {
  kernel: 1024 ** 3,
  initrd: 4 * 1024 ** 3,
  rootfs: 64 * 1024 ** 3,
};
/** More places than anybody names; a source that never runs out of them is broken. */
const MAX_PLACES = 32;

/** One artifact that is wanted. */
export interface Wanted {
  readonly role: ArtifactRole;
  readonly artifact: Artifact;
  /** What an earlier call left of it is not to be used. */
  readonly anew: boolean;
}

/**
 * Fetches an artifact and moves it to `path` when it is whole, durable and what it must be. Goes on where an earlier attempt
 * broke. Bytes that turn out wrong are fetched again from the beginning: once when a part of them was here before, and as often
 * as their source knows another place for them.
 *
 * To be called under the lock of the content. Rejects as `ingest`; what was fetched then stays for the next attempt when it can be
 * gone on with.
 */
export async function fetchContent(
  { artifact, role, anew }: Wanted,
  paths: PartialPaths,
  path: string,
  context: Context,
): Promise<Content> {
  // The file comes first: a stream that was opened must be read or destroyed, and a file that fails would leave it hanging.
  const partial = await PartialFile.open(paths, artifact, context.signal);
  try {
    if (anew) await partial.clear();
    const content = await receive(partial, role, artifact, passingRetries(context, role, artifact));
    await partial.moveTo(path);
    return content;
  } finally {
    await partial.close();
  }
}

async function receive(
  partial: PartialFile,
  role: ArtifactRole,
  artifact: Artifact,
  context: Context,
): Promise<Content> {
  const { signal, logger } = context;
  for (let place = 1; ; place += 1) {
    let stream: ArtifactStream | undefined;
    try {
      // Whoever fails first ends the others; one that has not begun need not begin.
      signal?.throwIfAborted();
      stream = await openAfter(partial, artifact, context);
      const progress = new FetchProgress(role, artifact, stream, partial.kept?.bytes ?? 0, context);
      const file = await partial.fill(stream, (bytes) => progress.report(bytes));
      progress.report(file.bytes);
      return await ingest(stream, file, artifact, { maxBytes: MAX_BYTES[role], signal });
    } catch (error) {
      await giveUp(stream);
      if (isMismatch(error) && partial.kept !== undefined) {
        logger.warn(`${error.message}. A part of it was here from an earlier attempt: fetching the whole again`);
      } else if (isMismatch(error) && place < MAX_PLACES && stream?.disown?.(error.message) === true) {
        logger.warn(`${error.message}, from ${stream.source ?? 'its source'}. Asking the next place that has it`);
      } else {
        const isOurs = error instanceof SmartVMError && error.code.startsWith('STORE_');
        await (isOurs ? partial.remove() : partial.leave(stream));
        throw error;
      }
      await partial.clear();
    }
  }
}

/** The rest of what is kept where it can be had, else the whole. */
async function openAfter(partial: PartialFile, artifact: Artifact, context: Context): Promise<ArtifactStream> {
  const { kept } = partial;
  if (kept === undefined) return await artifact.open(context);
  const { bytes, validator } = kept;
  if (bytes === artifact.bytes) return endOf(validator);
  const rest = await artifact.open(context, { start: bytes, validator }).catch((error: unknown) => {
    if (error instanceof SmartVMError && !error.retryable) return undefined;
    throw error;
  });
  // What is kept is let go only when the whole is there to be had.
  const stream = rest ?? (await artifact.open(context));
  const start = rest === undefined ? 0 : (rest.start ?? bytes);
  if (start === bytes) return stream;
  try {
    if (start !== 0) throw wrongStart(artifact, bytes, start);
    await partial.clear();
    return stream;
  } catch (error) {
    await giveUp(stream);
    throw error;
  }
}

/** What remains of a file that is all here. */
function endOf(validator: string): ArtifactStream {
  const next = (): Promise<IteratorResult<Uint8Array, undefined>> => Promise.resolve({ done: true, value: undefined });
  return { validator, [Symbol.asyncIterator]: () => ({ next }) };
}

async function giveUp(stream: ArtifactStream | undefined): Promise<void> {
  await stream?.[Symbol.asyncIterator]().return?.();
}

function wrongStart({ fileName }: Artifact, asked: number, start: number): SmartVMError {
  return new SmartVMError(
    `Failed to go on with ${fileName}: its source was asked for the bytes from ${asked} on, and gave those from ${start} on`,
    'STORE_CORRUPT',
    { hint: 'That is a defect of the source: its stream begins where it was asked to, or at 0.' },
  );
}
