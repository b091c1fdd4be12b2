// Passkeys among the suggestions of the e-mail field (conditional mediation, WebAuthn Level 3, section 5.1.4): a
// sign-in that waits in the background until somebody picks one.

import { serverNow } from './api.js';
import { askForPasskey, finishSignIn, signInOptions } from './passkeys.js';

// Nobody picks a passkey and is done with it sooner. What ends earlier would end so again, at once and for ever.
const humanPace = 1000;

export class Autofill {
  #signedIn;
  #failed;
  #waiting = null; // the AbortController of the sign-in under way
  #settled = Promise.resolve();
  #renewal;
  #renewAt;

  /** signedIn gets the session answer; failed gets what the server said of a passkey that was picked. */
  constructor({ signedIn, failed }) {
    this.#signedIn = signedIn;
    this.#failed = failed;
  }

  /** Starts to wait, unless it does so already or the browser cannot. */
  start() {
    if (this.#waiting) return;
    const waiting = new AbortController();
    this.#waiting = waiting;
    this.#settled = this.#run(waiting.signal).then((again) => {
      if (this.#waiting !== waiting) return;
      this.#release();
      if (again) this.start();
    });
  }

  /** Stops. Once it returns, the browser is free for another ceremony: it runs one at a time. */
  async stop() {
    this.#waiting?.abort();
    this.#release();
    await this.#settled;
  }

  /** To be called when the page comes back into view, where timers may have slept. */
  async wake() {
    if (this.#waiting && serverNow() >= this.#renewAt) await this.stop();
    this.start();
  }

  async #run(signal) {
    const started = Date.now();
    let ceremony, credential;
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return false;
      ceremony = await signInOptions();
      if (signal.aborted) return false;
      this.#renewBefore(Date.parse(ceremony.expires_at));
      credential = await askForPasskey(ceremony, { mediation: 'conditional', signal });
    } catch (error) {
      // What fails in the background is not shown: the button will say what is wrong. This comes of a passkey that was picked.
      if (error.name === 'NotReadableError') this.#failed(error);
      return !signal.aborted && Date.now() - started > humanPace;
    }
    try {
      this.#signedIn(await finishSignIn(ceremony, credential));
      return false;
    } catch (error) {
      this.#failed(error);
      return Date.now() - started > humanPace;
    }
  }

  // A challenge that is about to expire is exchanged for a new one while there is time left to answer it.
  #renewBefore(expiry) {
    const lifetime = Math.max((expiry - serverNow()) * 0.8, 10_000);
    this.#renewAt = serverNow() + lifetime;
    this.#renewal = setTimeout(() => {
      if (!document.hidden) this.wake();
    }, lifetime + 100);
  }

  #release() {
    clearTimeout(this.#renewal);
    this.#waiting = null;
    this.#renewAt = Infinity;
  }
}
