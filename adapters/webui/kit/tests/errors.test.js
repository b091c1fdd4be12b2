// The errors of browsers and of servers that are not Keylodge.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { errorOfBrowser } from '../errors.js';
import { createKeylodge } from '../keylodge.js';

test('each reason of the browser has its code', () => {
  for (const [name, code] of Object.entries({
    AbortError: 'aborted', ConstraintError: 'verification_unavailable', InvalidStateError: 'already_registered', NotAllowedError: 'cancelled',
    NotReadableError: 'unreadable', NotSupportedError: 'not_supported', SecurityError: 'wrong_domain', TimeoutError: 'timed_out', UnknownError: 'failed',
  })) {
    const cause = new DOMException('why', name);
    const error = errorOfBrowser(cause, { elapsed: 10, timeout: 300_000 });
    assert.equal(error.code, code);
    assert.equal(error.cause, cause);
  }
});

test('a rejection after the time of the prompt is a timeout', () => {
  const cause = new DOMException('why', 'NotAllowedError');
  assert.equal(errorOfBrowser(cause, { elapsed: 300_000, timeout: 300_000 }).code, 'timed_out');
  assert.equal(errorOfBrowser(cause, { elapsed: 299_999, timeout: 300_000 }).code, 'cancelled');
  assert.equal(errorOfBrowser(cause, { elapsed: 999_999 }).code, 'cancelled');
});

/** @param {import('node:http').RequestListener} answer */
async function serve(answer, use) {
  const server = createServer(answer);
  await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
  try {
    await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((closed) => { server.close(closed); });
  }
}

test('the answer of a proxy is an error with its status', () => serve((_, response) => {
  response.writeHead(502, { 'Content-Type': 'text/html', 'Retry-After': '7' }).end('<h1>Bad gateway</h1>');
}, async (origin) => {
  await assert.rejects(createKeylodge({ origin }).config(), { name: 'KeylodgeError', code: 'http_502', status: 502, retryAfter: 7, fields: [] });
}));

test('a page instead of JSON is an error, whatever its status', () => serve((_, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Welcome to the hotel</h1>');
}, async (origin) => {
  await assert.rejects(createKeylodge({ origin }).config(), { code: 'http_200' });
}));

test('no answer, and one that breaks off, are unreachable', async () => {
  let address;
  await serve((_, response) => {
    response.writeHead(200, { 'Content-Length': '100' }).write('{');
    response.destroy();
  }, async (origin) => {
    address = origin;
    await assert.rejects(createKeylodge({ origin }).config(), { code: 'unreachable' });
  });
  await assert.rejects(createKeylodge({ origin: address }).config(), { code: 'unreachable' });
});
