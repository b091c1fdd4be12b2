// The account's name and e-mail address.

import { $ } from './dom.js';
import { PendingEmail } from './pendingemail.js';
import { keylodge } from './server.js';

const form = $('account-form');
const members = ['display_name', 'email'];

export class Account {
  #user = {};
  #mail = false;
  #pendingEmail;

  /** onChange gets the changed user. */
  constructor(page, onChange) {
    this.#pendingEmail = new PendingEmail(page, onChange);
    form.addEventListener('input', () => this.#markVerified());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      page.change($('save-account'), async () => {
        const edits = this.#edits();
        if (Object.keys(edits).length === 0) return 'No changes to save.';
        const user = await keylodge.account.change(edits);
        for (const name of members) form.elements.namedItem(name).value = user[name] ?? '';
        onChange(user);
        if (!this.#mail || !edits.email || !user.pending_email) return 'Account saved.';
        if (hasFocus(form)) this.#pendingEmail.focusCode();
        return `We sent a code to ${user.pending_email}.`;
      }, form);
    });
  }

  /** Applies the server's setting of mail: 'on' or 'off'. */
  configure(mail) {
    this.#mail = mail === 'on';
    this.#pendingEmail.configure(mail);
  }

  /** Shows the user. Fields with unsaved edits keep them. */
  show(user) {
    const edits = this.#edits();
    this.#user = user;
    for (const name of members) {
      if (!(name in edits)) form.elements.namedItem(name).value = user[name] ?? '';
    }
    this.#markVerified();
    this.#pendingEmail.show(user);
  }

  /** Focuses the field for the code of a pending e-mail address, if there is one. */
  focusCode() {
    this.#pendingEmail.focusCode();
  }

  clear() {
    this.#user = {};
    form.reset();
    this.#markVerified();
    this.#pendingEmail.clear();
  }

  // An address with unsaved edits is not marked as verified.
  #markVerified() {
    $('email-verified').hidden = !this.#mail || !this.#user.email_verified || 'email' in this.#edits();
  }

  #edits() {
    const values = members.map((name) => [name, form.elements.namedItem(name).value.trim() || null]);
    return Object.fromEntries(values.filter(([name, value]) => value !== (this.#user[name] ?? null)));
  }
}

// Also true if no element has the focus: some browsers do not focus a button that is clicked.
const hasFocus = (form) => document.activeElement === document.body || form.contains(document.activeElement);
