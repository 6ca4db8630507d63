// The door of this folder: whoever asks the network comes through here.
export { getDocument, resolveRedirect, type DocumentOptions, type RemoteDocument } from './document.ts';
export { retriesTo } from './retry.ts';
export { openStream, type OpenedStream, type StreamOptions } from './stream.ts';
export { remoteOpener, type RemoteObject } from './remote.ts';
