#!/usr/bin/env bash
# Measures this checkout beside other ways of doing the same: all comparisons of bench/, or those that are named. See bench/README.md.
source "$(dirname "$0")/setup.sh"
bash scripts/setup-system.sh nginx-light aria2 curl openssl coreutils time
build
exec node --import tsx bench/main.ts "$@"
