# Sourced by the commands of package.json: brings this checkout to where they can run, and does nothing the second time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[2m%s\033[0m\n' "$*" >&2; }
[ -t 2 ] || say() { printf '%s\n' "$*" >&2; }

node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || {
  say "smartvm needs Node 20.19 or newer, this is $(node --version)"
  exit 1
}

bash scripts/setup-system.sh

# The lock file's text is the version of what npm has installed.
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  say "installing npm packages"
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi

build() {
  if [ ! -e dist/.built ] || [ -n "$(find src scripts/*.ts tsconfig*.json package.json -newer dist/.built -print -quit)" ]; then
    say "building"
    node --import tsx scripts/build.ts
    touch dist/.built
  fi
}
