#!/usr/bin/env bash
# Runs the main job on this machine: sets everything up, then builds, verifies, serves, fetches and boots a real image.
source "$(dirname "$0")/setup.sh"
build
exec node --import tsx scripts/demo.ts
