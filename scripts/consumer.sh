#!/usr/bin/env bash
# What a user gets: packs the package, installs the tarball into an empty folder, type-checks a program against it, runs the bin.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm pack --silent --pack-destination "$folder" >/dev/null
cd "$folder"
npm init -y >/dev/null 2>&1
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund --prefer-offline ./smartvm-*.tgz
cp "$project/examples/ensure-and-boot.ts" program.ts
mkdir -p node_modules/@types
ln -s "$project/node_modules/@types/node" node_modules/@types/node
ln -s "$project/node_modules/undici-types" node_modules/undici-types
cat >tsconfig.json <<'JSON'
{ "compilerOptions": { "strict": true, "noEmit": true, "module": "nodenext", "target": "es2022", "types": ["node"] }, "files": ["program.ts"] }
JSON
"$project/node_modules/.bin/tsc" -p .

export SMARTVM_CACHE_DIR="$folder/cache"
version=$(./node_modules/.bin/smartvm --version)
[ "$version" = "$(node -p 'require("./node_modules/smartvm/package.json").version')" ] || {
  echo "the installed bin says version $version" >&2
  exit 1
}
[ "$(./node_modules/.bin/smartvm list --json | tr -d '[:space:]')" = '[]' ] || {
  echo 'the installed bin does not list an empty cache as []' >&2
  exit 1
}
[ ! -e "$SMARTVM_CACHE_DIR" ] || { echo 'listing created the cache' >&2; exit 1; }
