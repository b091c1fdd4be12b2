// Calls to the API at /v1. They return the JSON of the answer, and throw a Problem or Unreachable.

/** An error of the server, from its application/problem+json (RFC 9457). */
export class Problem extends Error {
  constructor(response, body) {
    super(body?.title ?? `The server answered with status ${response.status}.`);
    this.name = 'Problem';
    this.code = body?.code ?? `http_${response.status}`;
    this.status = response.status;
    this.requestId = body?.request_id ?? response.headers.get('X-Request-Id');
    this.detail = body?.detail;
    this.fields = body?.errors ?? [];
    this.retryAfter = Number(response.headers.get('Retry-After')) || 0; // seconds
  }
}

/** The server did not answer: the device is offline, or the server is down. */
export class Unreachable extends Error {
  constructor(cause) {
    super('The server did not answer.', { cause });
    this.name = 'Unreachable';
    this.code = 'unreachable';
  }
}

/** Members of query that are null or undefined are omitted. */
export const get = (path, query = {}) => call('GET', path + queryString(query));
export const post = (path, body) => call('POST', path, body);

function queryString(members) {
  const query = new URLSearchParams(Object.entries(members).filter(([, value]) => value != null)).toString();
  return query && `?${query}`;
}

// In milliseconds. Expiry times are the server's, so they are compared with the server's clock.
let clockSkew = 0;

/** Returns the server's time in milliseconds, from the Date header of its latest answer. */
export const serverNow = () => Date.now() + clockSkew;

// In milliseconds, for reading and for changing something: a change that is given up may still take effect.
const timeouts = { reading: 8_000, changing: 30_000 };

/** Makes a call; more are further headers. */
export async function call(method, path, body, more = {}) {
  const headers = { Accept: 'application/json, application/problem+json', ...more };
  if (body !== undefined) headers['Content-Type'] = 'application/json';

  let response, text;
  try {
    response = await fetch('/v1' + path, {
      method, headers, body: JSON.stringify(body), credentials: 'same-origin', cache: 'no-store',
      signal: AbortSignal.timeout(method === 'GET' ? timeouts.reading : timeouts.changing),
    });
    text = await response.text();
  } catch (cause) {
    throw new Unreachable(cause);
  }
  const date = Date.parse(response.headers.get('Date'));
  if (date) clockSkew = date - Date.now();

  if (response.status === 204) return null;
  const answer = parsed(text);
  if (!response.ok || answer === null) throw new Problem(response, answer);
  return answer;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // the answer of a proxy, for example
  }
}
