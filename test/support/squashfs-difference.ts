import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SHOWN_LINES = 40;

/** What two squashfs images differ in, in words: superblocks, listings with modes, owners and times, and contents. */
export function squashfsDifference(one: string, other: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'smartvm-difference-'));
  const script = `
    for n in 1 2; do
      eval image=\\$$n
      unsquashfs -stat "$image" >stat.$n
      unsquashfs -lln "$image" >list.$n
      unsquashfs -no-progress -quiet -d tree.$n "$image" >/dev/null
      (cd tree.$n && find . -type f -print0 | sort -z | xargs -0 sha256sum) >sums.$n
    done
    diff stat.1 stat.2; diff list.1 list.2; diff sums.1 sums.2
    cmp -l "$1" "$2" | head -n 8
    true`;
  try {
    const { stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', one, other], { cwd: folder, encoding: 'utf8' });
    return `${stdout}${stderr}`.split('\n').slice(0, SHOWN_LINES).join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
