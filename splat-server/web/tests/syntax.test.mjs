// Every script of the page parses as a module, also those that only a browser can run.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

test('every script is a module without errors of syntax', () => {
  const folder = new URL('../assets/js/', import.meta.url);
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.js'));
  assert.ok(names.length > 20, names.join(' '));
  for (const name of names) {
    const input = readFileSync(new URL(name, folder));
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--check'], { input, encoding: 'utf8' });
    assert.equal(status, 0, `${name}: ${stderr}`);
  }
});
