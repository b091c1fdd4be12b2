// Calls of the API: the session cookie with its CSRF token, or access tokens; time limits; errors.

import { errorOfServer, KeylodgeError } from './errors.js';

// In milliseconds, for reading and for changing something: a change that is given up may still take effect.
const timeouts = { reading: 8_000, changing: 30_000 };

// An access token is renewed this many milliseconds before it expires.
const renewalTime = 10_000;

const isReading = (/** @type {string} */ method) => method === 'GET' || method === 'HEAD';

export class Client {
  /** @type {string} the address of the API, without a slash at the end */
  #api;
  /** @type {import('./keylodge.d.ts').TokenStore | null} null for the session cookie */
  #store;
  #expiresAt = 0; // of the access token
  /** @type {Promise<RequestCredentials> | null} */
  #credentials = null;
  #clockSkew = 0; // in milliseconds: the times of answers are the server's
  /** @type {Promise<unknown>} */
  #exchange = Promise.resolve();
  /** @type {{id: string | null, csrf: string | null}} */
  #session = { id: null, csrf: null };

  /** @param {import('./keylodge.d.ts').KeylodgeOptions} options */
  constructor({ origin = '', transport = 'cookie', tokens = new TokensInMemory() }) {
    this.#api = origin.replace(/\/$/, '') + '/v1';
    this.#store = transport === 'bearer' ? tokens : null;
  }

  /** The members that tell a verify call which kind of session to open. */
  get transport() {
    return this.#store ? { transport: 'bearer' } : {};
  }

  /** The id of the session that calls are bound to; null for none. */
  get sessionID() {
    return this.#session.id;
  }

  /** The server's time in milliseconds. */
  now() {
    return Date.now() + this.#clockSkew;
  }

  /**
   * Binds changes to the session of an answer. If another session replaces it in this browser, they fail with session_changed.
   * @param {any} answer null after a sign-out
   */
  async use(answer) {
    this.#session = { id: answer?.session?.id ?? null, csrf: answer?.csrf_token ?? null };
    if (this.#store && (answer === null || answer.tokens)) await this.#keep(answer?.tokens ?? null);
  }

  /**
   * Makes a call and returns the JSON of the answer, or null for 204.
   * @param {string} method
   * @param {string} path below /v1
   * @param {any} [body]
   * @param {{renew?: boolean}} [how] see fetch
   * @returns {Promise<any>}
   */
  async call(method, path, body, how) {
    const headers = { Accept: 'application/json, application/problem+json', .../** @type {{}} */ (body === undefined ? {} : { 'Content-Type': 'application/json' }) };
    return this.#read(await this.fetch(path, { method, headers, body: JSON.stringify(body) }, how));
  }

  /**
   * Verifies a step-up. No refresh may run beside it, since both replace the tokens.
   * @param {any} body
   */
  async verifyStepUp(body) {
    const verify = async () => {
      const answer = await this.call('POST', '/session/step-up/verify', body, { renew: false });
      if (answer.csrf_token) this.#session.csrf = answer.csrf_token;
      if (this.#store && answer.tokens) await this.#keep(answer.tokens);
      return answer;
    };
    if (!this.#store) return verify();
    await this.#renew();
    return this.#alone(verify);
  }

  /**
   * Is the browser's fetch with the credentials of the session. It adds a time limit if init has no signal.
   * @param {string} path below /v1
   * @param {RequestInit} [init]
   * @param {{renew?: boolean}} [how] renew: false sends the access token as it is, within an exchange of tokens
   */
  async fetch(path, init = {}, { renew = true } = {}) {
    const method = (init.method ?? 'GET').toUpperCase();
    const session = this.#session;
    if (!this.#store && session.id && !isReading(method)) session.csrf ??= await this.#freshCSRF(session.id);
    if (renew) await this.#renew();
    let response = await this.#send(path, { ...init, method }, session);
    if (renew && this.#store && response.status === 401 && (await this.#store.get())) {
      await this.#refresh();
      response = await this.#send(path, { ...init, method }, session);
    } else if (session.id && response.status === 403 && (await problemOf(response.clone()))?.code === 'csrf_rejected') {
      session.csrf = await this.#freshCSRF(session.id);
      response = await this.#send(path, { ...init, method }, session);
    }
    return response;
  }

  /**
   * @param {string} path
   * @param {RequestInit & {method: string}} init
   * @param {{csrf: string | null}} session
   */
  async #send(path, init, { csrf }) {
    const headers = new Headers(init.headers);
    if (this.#store) {
      const tokens = await this.#store.get();
      if (tokens) headers.set('Authorization', `Bearer ${tokens.access_token}`);
    } else if (csrf && !isReading(init.method)) headers.set('X-CSRF-Token', csrf);
    const credentials = await this.#cookies();
    try {
      const response = await fetch(this.#api + path, {
        cache: 'no-store', credentials, signal: AbortSignal.timeout(timeouts[isReading(init.method) ? 'reading' : 'changing']), ...init, headers,
      });
      const date = Date.parse(response.headers.get('Date') ?? '');
      if (date) this.#clockSkew = date - Date.now();
      return response;
    } catch (cause) {
      this.#credentials = null;
      throw unreachable(cause);
    }
  }

  // Cookies bind a ceremony to the browser, also with tokens. To pages of apps and of other sites the server does not allow them: there,
  // a call with cookies fails, whichever it is.
  #cookies() {
    if (!this.#store) return 'include';
    this.#credentials ??= fetch(this.#api + '/config', { credentials: 'include', signal: AbortSignal.timeout(timeouts.reading) }).then(() => 'include', () => 'omit');
    return this.#credentials;
  }

  /**
   * Reports what became of the ways of a sign-in. Nothing waits for it, and it is sent also if the page is left.
   * @param {{way: string, outcome: string}[]} steps
   */
  report(steps) {
    fetch(this.#api + '/login/steps', {
      method: 'POST', keepalive: true, credentials: 'omit', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ steps }),
    }).catch(() => {});
  }

  /** @param {Response} response */
  async #read(response) {
    if (response.status === 204) return null;
    const answer = await problemOf(response);
    if (!response.ok || answer === null) throw errorOfServer(response, answer);
    return answer;
  }

  // The token is read before the session: if the session is unchanged after that, the token belongs to it.
  async #freshCSRF(/** @type {string} */ id) {
    const { csrf_token: token } = await this.call('GET', '/csrf');
    const { session } = await this.call('GET', '/session');
    if (session.id !== id) throw new KeylodgeError('session_changed', 'Another session has replaced the one that this page shows.');
    return token;
  }

  /** @param {import('./keylodge.d.ts').Tokens | null} tokens */
  async #keep(tokens) {
    this.#expiresAt = tokens ? Date.now() + tokens.expires_in * 1000 - renewalTime : 0;
    await this.#store?.set(tokens);
  }

  async #renew() {
    if (this.#expiresAt && Date.now() > this.#expiresAt) await this.#refresh();
  }

  // A refresh token can be used once, so calls that need a new access token at the same time share one refresh.
  async #refresh() {
    const used = (await this.#store?.get())?.refresh_token;
    await this.#alone(async () => {
      const tokens = await this.#store?.get();
      if (!tokens || tokens.refresh_token !== used) return;
      this.#expiresAt = 0;
      const response = await this.#sendRefresh(tokens.refresh_token);
      if (response.status === 401 || response.status === 403) await this.#keep(null);
      await this.#keep((await this.#read(response)).tokens);
    });
  }

  async #sendRefresh(/** @type {string} */ token) {
    try {
      return await fetch(this.#api + '/session/refresh', {
        method: 'POST', cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(timeouts.changing),
        headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ refresh_token: token }),
      });
    } catch (cause) {
      throw unreachable(cause);
    }
  }

  /**
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  #alone(action) {
    const result = this.#exchange.then(action);
    this.#exchange = result.catch(() => {});
    return result;
  }
}

/** @param {unknown} cause */
const unreachable = (cause) => new KeylodgeError('unreachable', 'The server did not answer.', { cause });

/**
 * Returns the JSON of an answer; null if it has none, for example that of a proxy.
 * @param {Response} response
 */
export async function problemOf(response) {
  let text;
  try {
    text = await response.text();
  } catch (cause) {
    throw unreachable(cause);
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

class TokensInMemory {
  /** @type {import('./keylodge.d.ts').Tokens | null} */
  #tokens = null;

  get() {
    return this.#tokens;
  }

  /** @param {import('./keylodge.d.ts').Tokens | null} tokens */
  set(tokens) {
    this.#tokens = tokens;
  }
}
