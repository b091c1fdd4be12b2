// What the account says about its owner.

import { $ } from './dom.js';
import { EmailClaim } from './emailclaim.js';
import { patch } from './session.js';
import { tellAccepted } from './signals.js';

const form = $('account-form');
const members = ['display_name', 'email'];

export class Account {
  #shown = {};
  #mail = false;
  #claim;

  /** changed gets the user as they are then. */
  constructor(desk, changed) {
    this.#claim = new EmailClaim(desk, changed);
    form.addEventListener('input', () => this.#mark());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      desk.change($('save-account'), async () => {
        const corrections = this.#corrections();
        if (Object.keys(corrections).length === 0) return 'There was nothing to change.';
        const { user, signals } = await desk.confirmed(() => patch('/me', corrections));
        tellAccepted(signals);
        for (const name of members) form.elements.namedItem(name).value = user[name] ?? '';
        changed(user);
        if (!this.#mail || !corrections.email || !user.pending_email) return 'Your account is up to date.';
        if (at(form)) this.#claim.ask();
        return `We sent a code to ${user.pending_email}.`;
      }, form);
    });
  }

  /** Goes by whether the server sends mail. */
  follow(mail) {
    this.#mail = mail === 'on';
    this.#claim.follow(mail);
  }

  /** What somebody is about to correct stays as they typed it. */
  show(user) {
    const typed = this.#corrections();
    this.#shown = user;
    for (const name of members) {
      if (!(name in typed)) form.elements.namedItem(name).value = user[name] ?? '';
    }
    this.#mark();
    this.#claim.show(user);
  }

  /** Takes whoever has just claimed an address to where its code goes. */
  askForCode() {
    this.#claim.ask();
  }

  clear() {
    this.#shown = {};
    form.reset();
    this.#mark();
    this.#claim.clear();
  }

  // An address that is about to be another one is not marked.
  #mark() {
    $('email-verified').hidden = !this.#mail || !this.#shown.email_verified || 'email' in this.#corrections();
  }

  #corrections() {
    const typed = members.map((name) => [name, form.elements.namedItem(name).value.trim() || null]);
    return Object.fromEntries(typed.filter(([name, value]) => value !== (this.#shown[name] ?? null)));
  }
}

// Whether the keyboard's place is still in the form, or nowhere: some browsers do not focus a button that is clicked.
const at = (form) => document.activeElement === document.body || form.contains(document.activeElement);
