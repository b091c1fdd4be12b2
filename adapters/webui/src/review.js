// The review after a recovery: a list of the passkeys that existed before it. A finder of the lost device may hold one of
// them.

import { $, part } from './dom.js';
import { showItems } from './list.js';
import { showMessage } from './message.js';
import { showSummary } from './passkeysummary.js';

const section = $('review');

export class Review {
  #remove;
  #since = null; // when the account was recovered; null if there is no review
  #earlier = [];
  #kept = new Set();

  /** remove(button, id) removes a passkey. */
  constructor(remove) {
    this.#remove = remove;
    $('end-review').addEventListener('click', () => this.#end());
  }

  /** Begins a review if the session was opened by a recovery. A later step-up does not end the review. */
  begin({ assurance, created_at: since }) {
    if (assurance !== 'recovery') return;
    this.#since = Date.parse(since);
    section.hidden = false;
  }

  /** Takes the account's current passkeys. */
  update(passkeys) {
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
    section.hidden = true;
  }

  #show() {
    const undecided = this.#earlier.length > 0;
    $('review-ask').hidden = !undecided;
    $('end-review').querySelector('span').textContent = undecided ? 'Not now' : 'Done';
    showItems($('review-list'), this.#earlier, {
      template: $('review-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill: showSummary,
    });
  }

  #prepare(entry, id) {
    part(entry, 'remove').addEventListener('click', () => this.#remove(part(entry, 'remove'), id));
    part(entry, 'keep').addEventListener('click', () => {
      this.#kept.add(id);
      showMessage({ text: 'Passkey kept.', info: true });
      this.update(this.#earlier);
    });
  }

  // If the focus was in the review, it moves to the heading of the passkeys.
  #end() {
    const focused = section.contains(document.activeElement);
    this.clear();
    if (focused) $('passkeys-heading').focus();
  }
}
