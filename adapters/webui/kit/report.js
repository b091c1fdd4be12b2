// What becomes of the ways of a sign-in, for the server's metrics. A report has no identity.

/** @typedef {{way: string, outcome: string}} Step */

export class Report {
  /** @type {Step[]} */
  #steps = [];
  #send;

  /** @param {(steps: Step[]) => void} send is called once, also if the page is left before the end */
  constructor(send) {
    this.#send = send;
    if (typeof document !== 'undefined') addEventListener('pagehide', this.end);
  }

  /**
   * @param {string} outcome
   * @param {string} [way] of the step before, if it is omitted
   */
  add(outcome, way = this.#steps.at(-1)?.way) {
    if (way) this.#steps.push({ way, outcome });
  }

  end = () => {
    if (typeof document !== 'undefined') removeEventListener('pagehide', this.end);
    if (this.#steps.length > 0) this.#send(this.#steps.splice(0));
  };
}
