// Session events: this page's sign-ins and sign-outs, those of other tabs of the same origin, and sessions that the server has ended.

/** @typedef {import('./keylodge.d.ts').SessionEvent} SessionEvent */

export class SessionEvents {
  /** @type {Set<(event: SessionEvent) => void>} */
  #listeners = new Set();
  /** @type {BroadcastChannel | null} */
  #channel = null;
  #name;
  #check;

  /**
   * @param {string} name of the channel between tabs
   * @param {() => Promise<unknown>} check asks the server for the session, and emits what has changed
   */
  constructor(name, check) {
    this.#name = name;
    this.#check = check;
  }

  /**
   * Calls the listener for each event. Returns a function that ends it.
   * @param {(event: SessionEvent) => void} listener
   */
  add(listener) {
    if (this.#listeners.size === 0) this.#open();
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  /** @param {SessionEvent} event */
  emit(event) {
    for (const listener of this.#listeners) listener(event);
  }

  /**
   * Emits an event here and in the other tabs.
   * @param {SessionEvent} event
   */
  announce(event) {
    this.emit(event);
    if (typeof BroadcastChannel === 'undefined' || typeof document === 'undefined') return;
    const channel = this.#channel ?? new BroadcastChannel(this.#name);
    channel.postMessage(event.type);
    if (channel !== this.#channel) channel.close();
  }

  // A page from the back/forward cache, and one that was hidden, may have missed events.
  #open() {
    if (typeof document === 'undefined') return; // on a server
    document.addEventListener('visibilitychange', this.#shown);
    addEventListener('pageshow', this.#restored);
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.addEventListener('message', this.#shown);
  }

  #close() {
    if (typeof document === 'undefined') return;
    document.removeEventListener('visibilitychange', this.#shown);
    removeEventListener('pageshow', this.#restored);
    this.#channel?.close();
    this.#channel = null;
  }

  // A page that has just been loaded also gets pageshow.
  #restored = (/** @type {PageTransitionEvent} */ { persisted }) => {
    if (persisted) this.#shown();
  };

  #shown = () => {
    if (!document.hidden) this.#check().catch(() => {}); // the page keeps what it shows until the server can be reached
  };
}
