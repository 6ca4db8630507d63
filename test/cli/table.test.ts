import assert from 'node:assert/strict';
import test from 'node:test';
import { formatTable } from '../../src/cli/table.ts';

const heading = ['ID', 'ARCH', 'SIZE'];
const rows = [
  ['debian-bookworm', 'x86_64', '90.1 MiB'],
  ['v1.15', 'aarch64', '1.2 GiB'],
];

test('rows are aligned under their heading where they fit', () => {
  assert.equal(
    formatTable(heading, rows, 34),
    'ID               ARCH     SIZE\n' + 'debian-bookworm  x86_64   90.1 MiB\n' + 'v1.15            aarch64  1.2 GiB\n',
  );
});

test('where they do not fit each row is told below its first cell, wrapped to the terminal', () => {
  assert.equal(formatTable(heading, rows, 20), 'debian-bookworm\n  x86_64, 90.1 MiB\nv1.15\n  aarch64, 1.2 GiB\n');
  assert.equal(formatTable(heading, rows.slice(0, 1), 12), 'debian-bookworm\n  x86_64\n  90.1 MiB\n');
});
