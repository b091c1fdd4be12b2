// Run by `make javascript`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { applicationFor, applicationOf, returnAddress, returnRequest } from '../returning.js';

const { origins, allowed, rejected } = JSON.parse(readFileSync(new URL('../../../../domain/testdata/returnaddresses.json', import.meta.url), 'utf8'));
const applications = origins.map((origin) => ({ origin, name: origin }));

test('the addresses of the server are allowed and rejected', () => {
  assert.ok(allowed.length > 10 && rejected.length > 50);
  for (const address of allowed) {
    const { origin } = applicationOf(address, applications) ?? assert.fail(address);
    assert.equal(new URL(address).origin, origin);
  }
  for (const address of rejected) assert.equal(applicationOf(address, applications), null, address);
});

test('without a challenge, the page returns only to the same site', () => {
  const config = { applications, rp_id: 'example.com' };
  for (const [address, same] of [['https://app.example.com/', true], ['https://shop.example.net/', false], ['http://localhost:3000/', false]]) {
    assert.equal(Boolean(applicationFor({ address, challenge: null }, config)), same, address);
    assert.ok(applicationFor({ address, challenge: 'c' }, config), address);
  }
  assert.equal(applicationFor({ address: 'https://evil.example/', challenge: 'c' }, config), null);
  assert.equal(applicationFor({ address: 'https://app.example.com/', challenge: null }, { ...config, rp_id: 'ample.com' }), null);
});

test('the query names the request, and a challenge gets a code', async () => {
  assert.equal(returnRequest('?x=1'), null);
  const request = returnRequest('?return_to=https%3A%2F%2Fapp.example.com%2Fa%3Fb&code_challenge=c&state=s');
  assert.deepEqual(request, { address: 'https://app.example.com/a?b', challenge: 'c', state: 's' });
  const calls = [];
  const client = { withStepUp: (action) => action(), call: async (...call) => calls.push(call) && { location: 'https://app.example.com/a?b&code=d' } };
  assert.equal(await returnAddress(client, request), 'https://app.example.com/a?b&code=d');
  assert.deepEqual(calls, [['POST', '/session/code', { return_to: 'https://app.example.com/a?b', code_challenge: 'c', state: 's' }]]);
  assert.equal(await returnAddress(client, { ...request, challenge: null }), 'https://app.example.com/a?b');
  assert.equal(calls.length, 1);
});
