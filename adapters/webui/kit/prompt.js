// The browser's passkey prompt. A browser runs one ceremony at a time: each new one ends the one before.

import { createPasskey, getPasskey } from './credentials.js';
import { errorOfBrowser, KeylodgeError } from './errors.js';

/** Returns why passkeys cannot work on this page, as the code of an error; null if they can. */
export function obstacle() {
  if (!globalThis.isSecureContext) return 'insecure_context';
  return globalThis.PublicKeyCredential && navigator.credentials ? null : 'webauthn_missing';
}

/** Throws an error with the code that obstacle returns, if it returns one. */
export function requirePasskeys() {
  const code = obstacle();
  if (code) throw new KeylodgeError(code, code === 'webauthn_missing' ? 'This browser has no passkeys.' : 'Passkeys need a secure connection.');
}

/** @returns {Promise<Record<string, boolean>>} */
export async function capabilities() {
  try {
    return (await /** @type {any} */ (PublicKeyCredential).getClientCapabilities?.()) ?? {};
  } catch {
    return {};
  }
}

/** Returns whether this device itself, not a phone or a security key beside it, can have a passkey and verify its user. */
export async function canCreateHere() {
  try {
    return (await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable?.()) ?? false;
  } catch {
    return false;
  }
}

/** Returns whether the browser lists passkeys among the suggestions of an input field. */
export async function canSuggest() {
  return (await PublicKeyCredential.isConditionalMediationAvailable?.()) ?? false;
}

// In milliseconds. A browser that has no passkey for an immediate request rejects it at once; a user takes longer to cancel it.
const userTime = 700;

export class Prompt {
  #controller = new AbortController();
  /** @type {Promise<unknown>} */
  #settled = Promise.resolve();

  /**
   * Creates a passkey. Returns the `credential` for the verify call.
   * @param {any} options
   * @param {AbortSignal} [signal]
   */
  create(options, signal) {
    return this.#run(options, signal, (signal) => createPasskey(options, { signal }));
  }

  /**
   * Requests a passkey.
   * @param {any} options
   * @param {{mediation?: string, way?: import('./keylodge.d.ts').SignInWay, signal?: AbortSignal, report?: import('./report.js').Report}} [more]
   *   way is one of the server's plan. `immediate` asks for a passkey of this device first, and does not offer another device.
   */
  get(options, { way, signal, report, ...more } = {}) {
    const immediate = way?.uiMode === 'immediate';
    const asked = way?.hints.length ? { ...options, hints: way.hints } : options;
    return this.#run(options, signal, async (signal) => {
      if (immediate) {
        const started = Date.now();
        report?.add('prompted', 'immediate');
        try {
          return await getPasskey(options, { uiMode: 'immediate', signal });
        } catch (/** @type {any} */ error) {
          if (error.name !== 'NotAllowedError' && error.name !== 'TypeError' || Date.now() - started > userTime) throw error;
          report?.add('no_passkey');
        }
      }
      report?.add('prompted', immediate ? 'prompt' : way?.way);
      return getPasskey(asked, { ...more, signal });
    });
  }

  /** Ends the current ceremony. Once stop returns, the browser can begin another one. */
  async stop() {
    this.#controller.abort();
    await this.#settled;
  }

  /**
   * @template T
   * @param {any} options
   * @param {AbortSignal | undefined} outer
   * @param {(signal: AbortSignal) => Promise<T>} ask
   * @returns {Promise<T>}
   */
  async #run(options, outer, ask) {
    requirePasskeys();
    const controller = new AbortController();
    const before = this.stop();
    this.#controller = controller;
    const abort = () => controller.abort();
    outer?.addEventListener('abort', abort);
    if (outer?.aborted) abort();
    const result = before.then(() => this.#ask(options, controller.signal, ask)).finally(() => outer?.removeEventListener('abort', abort));
    this.#settled = result.catch(() => {});
    return result;
  }

  /**
   * @template T
   * @param {any} options
   * @param {AbortSignal} signal
   * @param {(signal: AbortSignal) => Promise<T>} ask
   */
  async #ask(options, signal, ask) {
    const started = Date.now();
    try {
      if (signal.aborted) throw new DOMException('aborted', 'AbortError');
      return await ask(signal);
    } catch (/** @type {any} */ error) {
      if (signal.aborted) throw new KeylodgeError('aborted', 'The request was aborted.', { cause: error });
      throw errorOfBrowser(error, { elapsed: Date.now() - started, timeout: options.timeout });
    }
  }
}
