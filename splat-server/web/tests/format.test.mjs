// Texts about a job, without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.navigator ??= { languages: ['en'] };
globalThis.location ??= new URL('http://page.test/');
const { titleOf } = await import('../assets/js/states.js');

test('scenes without a name are distinguished by their creation time', () => {
  const made = (seconds) => titleOf({ created_at: new Date(Date.now() - 86_400_000 * 3 + 1000 * seconds).toISOString() });
  assert.notEqual(made(0), made(2));
  assert.equal(titleOf({ name: 'Gate', created_at: new Date().toISOString() }), 'Gate');
});
