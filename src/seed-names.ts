import type { Arch, BaseImagePreset, Bundle, RootfsType } from './image.ts';
import type { BaseImageManagerOptions, EnsureBaseImageOptions } from './options.ts';
import type { ArtifactManifest, HostedManifest } from './sources/hosted-manifest/manifest.ts';

/** Names under which programs written for the earlier class import these types. */
export type IBaseImageManagerOptions = BaseImageManagerOptions;
export type IEnsureBaseImageOptions = EnsureBaseImageOptions;
export type IBaseImageBundle = Bundle;
export type IBaseImageHostedManifest = HostedManifest;
export type IBaseImageArtifactManifest = ArtifactManifest;
export type TBaseImagePreset = BaseImagePreset;
export type TBaseImageRootfsType = RootfsType;
export type TFirecrackerArch = Arch;
