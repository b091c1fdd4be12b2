// An e-mail address that waits for its code: the person says that it is theirs, and a letter there has the code.

import { $ } from './dom.js';
import { patch, post } from './session.js';
import { tellAccepted } from './signals.js';
import { timeOfDay } from './when.js';

const form = $('email-claim');
const code = $('email-code');
const addresses = form.querySelectorAll('[data-part="address"]');

export class EmailClaim {
  #desk;
  #changed;
  #mail = false;
  #user = null;
  #address = null; // the one to be confirmed

  /** changed gets the user as they are then. */
  constructor(desk, changed) {
    this.#desk = desk;
    this.#changed = changed;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#do($('confirm-email'), () => this.#confirm());
    });
    $('send-email-code').addEventListener('click', () => this.#do($('send-email-code'), () => this.#send()));
    $('withdraw-email').addEventListener('click', () => this.#do($('withdraw-email'), () => this.#withdraw()));
  }

  /** Goes by whether the server sends mail. Where it does not, no address can be confirmed. */
  follow(mail) {
    this.#mail = mail === 'on';
  }

  show(user) {
    const { email, email_verified: verified, pending_email: pending } = user;
    const before = this.#address;
    this.#user = user;
    this.#address = this.#mail ? pending ?? (verified ? null : email) : null;
    if (this.#address !== before) form.reset();
    this.#turn(this.#address !== null);
    for (const element of addresses) element.textContent = this.#address ?? '';
    $('email-held').textContent = email ?? '';
    for (const id of ['email-code-sent', 'email-code-field', 'confirm-email']) $(id).hidden = !pending;
    $('email-code-unsent').hidden = Boolean(pending);
    $('withdraw-email').hidden = !pending || pending === email;
    $('email-claim-until').hidden = $('withdraw-email').hidden || !email;
    $('send-email-code').querySelector('span').textContent = pending ? 'Send another code' : 'Send a code';
  }

  /** Takes the person to where the code goes, if they are to enter one. */
  ask() {
    if (code.getClientRects().length > 0) code.focus();
  }

  clear() {
    this.#user = this.#address = null;
    form.hidden = true;
    form.reset();
    for (const element of [...addresses, $('email-held')]) element.textContent = '';
  }

  #do(button, action) {
    this.#desk.change(button, action, form);
  }

  async #confirm() {
    const { user, signals } = await this.#desk.confirmed(() => post('/me/email/confirm', { code: code.value.trim() }));
    tellAccepted(signals);
    this.#changed(user);
    return `${user.email} is yours now.`;
  }

  async #send() {
    const { expires_at: end } = await this.#desk.confirmed(() => post('/me/email/code'));
    this.#changed({ ...this.#user, pending_email: this.#address });
    code.value = '';
    this.ask();
    return `A new code is on its way, good until ${timeOfDay(end)}. Those before it count no more.`;
  }

  // What the account has stays, so that nothing but the claim goes.
  async #withdraw() {
    const address = this.#address;
    const { user, signals } = await this.#desk.confirmed(() => patch('/me', { email: this.#user.email }));
    tellAccepted(signals);
    this.#changed(user);
    return `${address} will not be used.`;
  }

  // Whoever was in the form when it goes is taken to the heading that it stood under.
  #turn(open) {
    const inside = form.contains(document.activeElement);
    form.hidden = !open;
    if (inside && !open) $('account-heading').focus();
  }
}
