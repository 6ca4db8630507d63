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
[ "$(ls node_modules)" = smartvm ] || {
  echo "an installation has more than one package: $(ls node_modules)" >&2
  exit 1
}
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

# What is loaded when it is called for: a source, the schema of manifests, the network.
printf kernel >vmlinux
printf root >rootfs.squashfs
cat >m.json <<'JSON'
{
  "schemaVersion": 1, "bundleId": "mini", "arch": "x86_64", "firecrackerVersion": "v1.9.0", "rootfsType": "squashfs",
  "kernel": { "path": "vmlinux" }, "rootfs": { "path": "rootfs.squashfs" }
}
JSON
says() {
  local expected=$1
  shift
  ./node_modules/.bin/smartvm "$@" >output 2>&1 || true
  grep -q "$expected" output || { echo "smartvm $* does not say $expected:" >&2; cat output >&2; exit 1; }
}
says '^bundle *mini$' ensure ./m.json --arch x86_64 --quiet
says '^mini' list
gzip -k rootfs.squashfs
cat >packed.json <<'JSON'
{
  "schemaVersion": 1, "bundleId": "packed", "arch": "x86_64", "firecrackerVersion": "v1.9.0", "rootfsType": "squashfs",
  "kernel": { "path": "vmlinux" }, "rootfs": { "path": "rootfs.squashfs.gz", "sizeBytes": 4, "compressed": { "format": "gzip" } }
}
JSON
says '^bundle *packed$' ensure ./packed.json --arch x86_64 --quiet

# And what is not called for is not loaded: a hit unpacks nothing, starts nothing and needs no TLS.
cat >loaded.cjs <<'JS'
const NEEDLESS = /^NativeModule (?:https?|net|tls|zlib|child_process)$/;
process.on('exit', () => console.log(process.moduleLoadList.filter((name) => NEEDLESS.test(name)).join()));
JS
loaded=$(node -r ./loaded.cjs node_modules/smartvm/dist/cli/main.cjs ensure ./m.json --arch x86_64 --quiet | tail -1)
[ "$loaded" = '' ] || { echo "a hit loads $loaded" >&2; exit 1; }

echo '{}' >bad.json
says '^INVALID_BASE_IMAGE_MANIFEST: ' ensure ./bad.json --arch x86_64
says 'ECONNREFUSED' ensure http://127.0.0.1:9/m.json
says 'BASE_IMAGE_RESOLVE_FAILED.*ECONNREFUSED' resolve v1.15 --bucket-url http://127.0.0.1:9/bucket
says '^INVALID_BASE_IMAGE_REFERENCE: .*"nosuch"' ensure nosuch:thing
