import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from '../errors.js';

const t = (key) => key;
const has = (key) => ['error.user_disabled', 'error.invalid_code'].includes(key);
const config = (support) => ({ rp_id: 'example.org', brand: { links: { support } } });

test('what only the operator can resolve leads to the support', () => {
  for (const [error, link] of [
    [{ code: 'user_disabled' }, 'mailto:help@example.org'],
    [{ code: 'internal', requestId: 'R1' }, 'mailto:help@example.org'],
    [{ code: 'invalid_code' }, undefined],
    [{ code: 'internal' }, undefined], // an error of the page itself
  ]) {
    assert.equal(errorText(error, { t, has, config: config('mailto:help@example.org') }).link, link, JSON.stringify(error));
    assert.equal(errorText(error, { t, has, config: config(null) }).link, undefined);
  }
});
