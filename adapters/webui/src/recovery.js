// Account recovery for a user who has lost all passkeys: codes first, then a new passkey. The token of the recovery grant
// is kept only in this module, until the passkey is created.

import { $ } from './dom.js';
import { showTime } from './formattime.js';
import { clearMessage, showError, showMessage } from './message.js';
import { keylodge } from './server.js';

const form = $('recover-form');
const account = $('recover-account');
const grantExpired = { code: 'invalid_code', text: 'This recovery has expired or was already completed. Start again with another code.' };

export class Recovery {
  #page;
  #policy = 'off';
  #token = ''; // of the recovery grant

  constructor(page) {
    this.#page = page;
    $('lost-passkey').addEventListener('click', () => page.run($('lost-passkey'), () => this.#askForCodes(), showError));
    for (const choice of form.elements.by) choice.addEventListener('change', () => this.#showFields());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      page.run($('recover'), () => this.#redeem(), (error) => this.#handleError(error));
    });
    $('enrol').addEventListener('click', () => page.run($('enrol'), () => this.#enrol(), (error) => this.#handleError(error)));
    for (const button of document.querySelectorAll('[data-part="to-sign-in"]')) {
      button.addEventListener('click', () => {
        clearMessage();
        page.leaveRecovery();
      });
    }
  }

  /** Applies the server's recovery policy, and its setting of e-mail addresses: 'off' if accounts have none. */
  configure(policy, email) {
    this.#policy = policy;
    $('lost-passkey').hidden = policy === 'off';
    $('recover-by').hidden = policy === 'both';
    $('recover-lead').textContent = policy === 'both'
      ? 'Enter a code from your authenticator app and one of your backup codes to create a new passkey.'
      : 'Enter a backup code, or a code from your authenticator app, to create a new passkey.';
    $('recover-account-label').textContent = email === 'off' ? 'Account id' : 'E-mail or account id';
  }

  /** Continues with the token of a recovery grant, from redeemed codes or from a recovery link. */
  enrol(token) {
    this.#token = token;
    this.#page.enter('enrolling', $('enrolling-heading'));
  }

  clear() {
    this.#token = '';
    form.reset();
    $('enrol-limit').hidden = true;
    this.#setButton('Create a new passkey');
  }

  #askForCodes() {
    this.clear();
    this.#showFields();
    this.#page.enter('recovering', $('recovering-heading'));
  }

  // Hidden fieldsets are disabled too: their empty required fields would block the form.
  #showFields() {
    const requested = this.#policy === 'both' ? ['app', 'backup'] : [form.elements.by.value];
    for (const factor of ['app', 'backup']) {
      const fieldset = $(`recover-by-${factor}`);
      fieldset.hidden = fieldset.disabled = !requested.includes(factor);
    }
  }

  async #redeem() {
    const { grant_token: token, expires_at: expiry } = await keylodge.recovery.redeem(this.#codes());
    form.reset();
    showTime($('enrol-until'), expiry);
    $('enrol-limit').hidden = false;
    this.enrol(token);
    await this.#enrol();
  }

  #codes() {
    const name = account.value.trim();
    account.name = name.includes('@') ? 'email' : 'user_id'; // the server's error of that member is shown beside the field
    const entered = new FormData(form);
    entered.delete('by');
    return Object.fromEntries([...entered].map(([member, value]) => [member, value.trim()]));
  }

  async #enrol() {
    showMessage({ text: 'Continue in your browser’s prompt…', info: true });
    this.#page.showSignedIn(await keylodge.recovery.enrol({ grant_token: this.#token }));
  }

  #handleError(error) {
    if (!this.#token) return showError(error, form);
    if (error.code !== 'invalid_code') {
      this.#setButton('Try again');
      return showError(error);
    }
    if (this.#policy === 'off') this.#page.showSignedOut();
    else this.#askForCodes();
    showMessage(grantExpired);
  }

  #setButton(text) {
    $('enrol').querySelector('span').textContent = text;
  }
}
