#!/usr/bin/env bash
# The gate: everything that must hold before a change lands. `npm test -- <step>…` runs just those steps.
source "$(dirname "$0")/setup.sh"

types() { npx --no-install tsc -p tsconfig.json; }
lint() { npx --no-install eslint --max-warnings 0 .; }
format() { npx --no-install prettier --log-level warn --check .; }
surface() { npx --no-install api-extractor run; }
unused() { npx --no-install knip --no-progress; }
package() { npx --no-install publint --strict; }
consumer() { bash scripts/consumer.sh; }
tests() {
  npx --no-install c8 --config .c8rc.json node --import tsx --test --test-concurrency=2 --test-timeout=600000 \
    test/*.test.ts test/*/*.test.ts
}

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(types lint format build surface unused package consumer tests)
for step in "${steps[@]}"; do
  started=$(date +%s)
  say "— $step"
  "$step"
  say "  $step: $(($(date +%s) - started)) s"
done
