// The kit where there is no browser: pages that are rendered on a server import it, too.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createKeylodge, KeylodgeError } from '../keylodge.js';

test('importing and creating need no browser', async () => {
  assert.equal(typeof globalThis.window, 'undefined');
  const keylodge = createKeylodge({ origin: 'https://id.example.org' });
  const forget = keylodge.onSession(() => assert.fail('there is no session'));
  await keylodge.use(null);
  forget();
  assert.equal(keylodge.obstacle(), 'insecure_context');
  assert.deepEqual(await keylodge.capabilities(), {});
  assert.ok(Math.abs(keylodge.now() - Date.now()) < 1000);
});

test('ceremonies say why they are impossible', async () => {
  const keylodge = createKeylodge({ origin: 'https://id.example.org' });
  for (const ceremony of [keylodge.signUp, keylodge.signIn, keylodge.stepUp, () => keylodge.signIn({ autofill: true })]) {
    await assert.rejects(ceremony(), (error) => error instanceof KeylodgeError && error.code === 'insecure_context');
  }
});
