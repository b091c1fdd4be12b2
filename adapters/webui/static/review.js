// After a recovery: what happened, and a look at each passkey that was there before. Whoever found the lost device may
// hold one of them.

import { $, part } from './dom.js';
import { showItems } from './list.js';
import { say } from './message.js';
import { showFacts } from './passkeyfacts.js';

const room = $('review');

export class Review {
  #remove;
  #since = null; // when the person came back, while there is something to look at
  #earlier = [];
  #kept = new Set();

  /** remove(button, id) has a passkey removed. */
  constructor(remove) {
    this.#remove = remove;
    $('end-review').addEventListener('click', () => this.#end());
  }

  /** A step-up meanwhile makes the session one of a passkey, and does not end the review. */
  begin({ assurance, created_at: since }) {
    if (assurance !== 'recovery') return;
    this.#since = Date.parse(since);
    room.hidden = false;
  }

  /** Takes the passkeys as they are now. */
  see(passkeys) {
    if (this.#since === null) return;
    const before = this.#earlier.length;
    this.#earlier = passkeys.filter(({ id, created_at: at }) => Date.parse(at) < this.#since && !this.#kept.has(id));
    if (before > 0 && this.#earlier.length === 0) return this.#end();
    this.#show();
  }

  clear() {
    this.#since = null;
    this.#earlier = [];
    this.#kept.clear();
    this.#show();
    room.hidden = true;
  }

  #show() {
    const asking = this.#earlier.length > 0;
    $('review-ask').hidden = !asking;
    $('end-review').querySelector('span').textContent = asking ? 'Not now' : 'All right';
    showItems($('review-list'), this.#earlier, {
      template: $('review-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill: showFacts,
    });
  }

  #prepare(entry, id) {
    part(entry, 'remove').addEventListener('click', () => this.#remove(part(entry, 'remove'), id));
    part(entry, 'keep').addEventListener('click', () => {
      this.#kept.add(id);
      say({ text: 'That passkey goes on opening your account.', calm: true });
      this.see(this.#earlier);
    });
  }

  // Whoever was in it is taken to the passkeys.
  #end() {
    const inside = room.contains(document.activeElement);
    this.clear();
    if (inside) $('passkeys-heading').focus();
  }
}
