/** What only commands about machines need of the library: loaded by them, and not by a hit in the cache. */
export {
  boot,
  bootReceipts,
  checkBoot,
  diagnose,
  lintKernelArguments,
  planBoot,
  recogniseKernel,
  recogniseRootfs,
} from '../index.ts';
