// The verification of an e-mail address: the server sends a code to the address, and the user enters the code.

import { $ } from './dom.js';
import { timeOfDay } from './formattime.js';
import { keylodge } from './server.js';

const form = $('pending-email');
const code = $('email-code');
const addresses = form.querySelectorAll('[data-part="address"]');

export class PendingEmail {
  #page;
  #onChange;
  #mail = false;
  #user = null;
  #address = null; // the address to verify

  /** onChange gets the changed user. */
  constructor(page, onChange) {
    this.#page = page;
    this.#onChange = onChange;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#change($('confirm-email'), () => this.#confirm());
    });
    $('send-email-code').addEventListener('click', () => this.#change($('send-email-code'), () => this.#send()));
    $('withdraw-email').addEventListener('click', () => this.#change($('withdraw-email'), () => this.#cancel()));
  }

  /** Applies the server's setting of mail. With 'off', no address can be verified. */
  configure(mail) {
    this.#mail = mail === 'on';
  }

  show(user) {
    const { email, email_verified: verified, pending_email: pending } = user;
    const before = this.#address;
    this.#user = user;
    this.#address = this.#mail ? pending ?? (verified ? null : email) : null;
    if (this.#address !== before) form.reset();
    this.#setVisible(this.#address !== null);
    for (const element of addresses) element.textContent = this.#address ?? '';
    $('email-held').textContent = email ?? '';
    for (const id of ['email-code-sent', 'email-code-field', 'confirm-email']) $(id).hidden = !pending;
    $('email-code-unsent').hidden = Boolean(pending);
    $('withdraw-email').hidden = !pending || pending === email;
    $('pending-email-until').hidden = $('withdraw-email').hidden || !email;
    $('send-email-code').querySelector('span').textContent = pending ? 'Send another code' : 'Send a code';
  }

  /** Focuses the field for the code, if it is visible. */
  focusCode() {
    if (code.getClientRects().length > 0) code.focus();
  }

  clear() {
    this.#user = this.#address = null;
    form.hidden = true;
    form.reset();
    for (const element of [...addresses, $('email-held')]) element.textContent = '';
  }

  #change(button, action) {
    this.#page.change(button, action, form);
  }

  async #confirm() {
    const user = await keylodge.email.confirm(code.value.trim());
    this.#onChange(user);
    return `${user.email} is confirmed.`;
  }

  async #send() {
    const { expires_at: expiry } = await keylodge.email.sendCode();
    this.#onChange({ ...this.#user, pending_email: this.#address });
    code.value = '';
    this.focusCode();
    return `A new code was sent. It expires at ${timeOfDay(expiry)}. Previous codes no longer work.`;
  }

  // Sends the current address, which cancels only the pending one.
  async #cancel() {
    const address = this.#address;
    const user = await keylodge.account.change({ email: this.#user.email });
    this.#onChange(user);
    return `${address} will not be used.`;
  }

  // If the focus is in the form when it is hidden, it moves to the heading above the form.
  #setVisible(visible) {
    const focused = form.contains(document.activeElement);
    form.hidden = !visible;
    if (focused && !visible) $('account-heading').focus();
  }
}
