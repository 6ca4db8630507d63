export { BaseImageManager, type PruneBaseImagesOptions, type VerifyReport } from './manager.ts';
export type { LockBaseImagesOptions, LockChange, LockReport } from './manager/lock-images.ts';
export type { ArtifactDifference, Changes, ImageDifference } from './compare.ts';
export { diagnose, type DiagnoseOptions, type Finding } from './doctor.ts';
export { findLockFile } from './lockfile/lock-file.ts';
export { readConfiguration } from './configuration.ts';
export type { BaseImageManagerOptions, EnsureBaseImageOptions } from './options.ts';
export type { EnsurePlan, Resolution, ResolvedArtifact } from './manager/resolution.ts';
export type { PruneEntry, PruneReport } from './store/bundle-store.ts';
export {
  boot,
  bootReceipts,
  checkBoot,
  planBoot,
  type BootOptions,
  type BootReceipt,
  type CheckBootOptions,
} from './boot.ts';
export { recogniseKernel, recogniseRootfs, type FileVerdict, type KernelFormat } from './vmm/kernel-format.ts';
export { lintKernelArguments } from './vmm/kernel-arguments.ts';
export type { Machine, MachineExit } from './vmm/process.ts';
export type { Accelerator, MachinePlan, MachineSize, MachineType, VmmName } from './vmm/vmm.ts';
export { SmartVMError, type SmartVMErrorCode, type SmartVMErrorOptions } from './errors.ts';
export { formatReference, parseReference } from './reference.ts';
export { bootArgsFor, hostArch } from './image.ts';
export type {
  Arch,
  Artifact,
  ArtifactRole,
  Artifacts,
  ArtifactStream,
  BaseImagePreset,
  BaseImageSource,
  Bundle,
  BundleChecksums,
  BundleSizes,
  ByteRange,
  Companion,
  CompressedForm,
  Context,
  ImageFacts,
  ImageReference,
  ImageSource,
  Logger,
  OnProgress,
  PinnedArtifact,
  PinnedArtifacts,
  ProgressEvent,
  ResolveRequest,
  ResolvedImage,
  Reopened,
  RootfsType,
  Selection,
  TargetVmm,
  Trust,
} from './image.ts';
export type { SourceSettings, TransferLimits, TransferSettings } from './settings.ts';
export type { ArtifactManifest, CompressedManifest, HostedManifest } from './sources/hosted-manifest/manifest.ts';
export type {
  IBaseImageArtifactManifest,
  IBaseImageBundle,
  IBaseImageHostedManifest,
  IBaseImageManagerOptions,
  IEnsureBaseImageOptions,
  TBaseImagePreset,
  TBaseImageRootfsType,
  TFirecrackerArch,
} from './seed-names.ts';
