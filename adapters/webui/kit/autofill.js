// Passkeys among the suggestions of an input field (conditional mediation, WebAuthn Level 3, section 5.1.4): a sign-in that waits
// in the background until the user picks a passkey.

// In milliseconds. An attempt that ends sooner was not ended by a user, and would end again at once: it is not repeated.
const minUserTime = 1000;

export class Autofill {
  #steps;
  /** @type {{resolve: (answer: any) => void, reject: (error: any) => void} | null} the sign-in that waits */
  #waiting = null;
  /** @type {AbortController | null} of the attempt */
  #pending = null;
  /** @type {Promise<unknown>} */
  #settled = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #renewal;
  #renewAt = Infinity;

  /**
   * @param {{begin: () => Promise<any>, ask: (ceremony: any, signal: AbortSignal) => Promise<any>,
   *   finish: (ceremony: any, credential: any) => Promise<any>, now: () => number}} steps of a sign-in
   */
  constructor(steps) {
    this.#steps = steps;
  }

  /**
   * Waits for the user to pick a passkey, and returns the session answer. A former call that waits ends with the error given.
   * @param {any} ended
   * @returns {Promise<any>}
   */
  wait(ended) {
    this.give(ended);
    const result = new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
    if (typeof document !== 'undefined') document.addEventListener('visibilitychange', this.#renewIfLate);
    this.resume();
    return result;
  }

  /**
   * Ends the wait with an error.
   * @param {any} error
   */
  give(error) {
    this.#end()?.reject(error);
    return this.pause();
  }

  /** Aborts the attempt. The browser runs one ceremony at a time: once pause returns, another one can begin. */
  async pause() {
    this.#pending?.abort();
    this.#release();
    await this.#settled;
  }

  /** Starts an attempt if a sign-in waits and none is pending. */
  resume() {
    if (this.#pending || !this.#waiting) return;
    const pending = new AbortController();
    this.#pending = pending;
    this.#settled = this.#attempt(pending.signal).then((again) => {
      if (this.#pending !== pending) return;
      this.#release();
      if (again) this.resume();
    });
  }

  // Returns whether to try again.
  async #attempt(/** @type {AbortSignal} */ signal) {
    const started = Date.now();
    let ceremony, credential;
    try {
      ceremony = await this.#steps.begin();
      if (signal.aborted) return false;
      this.#scheduleRenewal(Date.parse(ceremony.expires_at));
      credential = await this.#steps.ask(ceremony, signal);
    } catch (/** @type {any} */ error) {
      // The user sees nothing of an attempt in the background. But an unreadable passkey follows the user's choice of it.
      if (error.code === 'unreadable') this.#end()?.reject(error);
      return !signal.aborted && Date.now() - started > minUserTime;
    }
    const waiting = this.#end();
    try {
      waiting?.resolve(await this.#steps.finish(ceremony, credential));
    } catch (error) {
      waiting?.reject(error);
    }
    return false;
  }

  #end() {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (typeof document !== 'undefined') document.removeEventListener('visibilitychange', this.#renewIfLate);
    return waiting;
  }

  // Replaces the challenge while the user still has time to answer it.
  #scheduleRenewal(/** @type {number} */ expiry) {
    const lifetime = Math.max((expiry - this.#steps.now()) * 0.8, 10_000);
    this.#renewAt = this.#steps.now() + lifetime;
    this.#renewal = setTimeout(this.#renewIfLate, lifetime + 100);
  }

  // A hidden page renews when it is shown again.
  #renewIfLate = async () => {
    if (document.hidden || this.#steps.now() < this.#renewAt) return;
    await this.pause();
    this.resume();
  };

  #release() {
    clearTimeout(this.#renewal);
    this.#pending = null;
    this.#renewAt = Infinity;
  }
}
