// Passkeys among the suggestions of the e-mail field (conditional mediation, WebAuthn Level 3, section 5.1.4): a sign-in
// that waits in the background until the user picks a passkey.

import { serverNow } from './api.js';
import { askForPasskey, finishSignIn, signInOptions } from './passkeys.js';

// In milliseconds. An attempt that ends sooner was not ended by a user, and would end again at once: it is not repeated.
const minUserTime = 1000;

export class Autofill {
  #signedIn;
  #failed;
  #pending = null; // the AbortController of the pending sign-in
  #settled = Promise.resolve();
  #renewal;
  #renewAt;

  /** signedIn gets the session answer; failed gets the error if the passkey that the user picked is rejected. */
  constructor({ signedIn, failed }) {
    this.#signedIn = signedIn;
    this.#failed = failed;
  }

  /** Starts a sign-in, unless one is pending or the browser has no conditional mediation. */
  start() {
    if (this.#pending) return;
    const pending = new AbortController();
    this.#pending = pending;
    this.#settled = this.#run(pending.signal).then((again) => {
      if (this.#pending !== pending) return;
      this.#release();
      if (again) this.start();
    });
  }

  /** Aborts the pending sign-in. The browser runs one ceremony at a time: once stop returns, another one can begin. */
  async stop() {
    this.#pending?.abort();
    this.#release();
    await this.#settled;
  }

  /** Starts a sign-in, or renews a pending one whose timer did not run because the page was hidden. */
  async resume() {
    if (this.#pending && serverNow() >= this.#renewAt) await this.stop();
    this.start();
  }

  async #run(signal) {
    const started = Date.now();
    let ceremony, credential;
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return false;
      ceremony = await signInOptions();
      if (signal.aborted) return false;
      this.#scheduleRenewal(Date.parse(ceremony.expires_at));
      credential = await askForPasskey(ceremony, { mediation: 'conditional', signal });
    } catch (error) {
      // Background errors are not shown: the sign-in button reports them. A NotReadableError follows the user's choice of a passkey.
      if (error.name === 'NotReadableError') this.#failed(error);
      return !signal.aborted && Date.now() - started > minUserTime;
    }
    try {
      this.#signedIn(await finishSignIn(ceremony, credential));
      return false;
    } catch (error) {
      this.#failed(error);
      return Date.now() - started > minUserTime;
    }
  }

  // Replaces the challenge while the user still has time to answer it.
  #scheduleRenewal(expiry) {
    const lifetime = Math.max((expiry - serverNow()) * 0.8, 10_000);
    this.#renewAt = serverNow() + lifetime;
    this.#renewal = setTimeout(() => {
      if (!document.hidden) this.resume();
    }, lifetime + 100);
  }

  #release() {
    clearTimeout(this.#renewal);
    this.#pending = null;
    this.#renewAt = Infinity;
  }
}
