// What the person would come back in with, should all passkeys be lost.

import { get } from './api.js';
import { AuthenticatorApp } from './authenticatorapp.js';
import { BackupCodes } from './backupcodes.js';
import { $ } from './dom.js';

const leads = {
  any: 'Either of these lets you make a new passkey when you have none left.',
  both: 'Together, these two let you make a new passkey when you have none left. One alone is not enough.',
};

export class RecoveryFactors {
  #app;
  #codes;
  #off = false;

  constructor(desk) {
    this.#app = new AuthenticatorApp(desk);
    this.#codes = new BackupCodes(desk);
  }

  /** Goes by the server's policy. */
  follow(policy) {
    this.#off = policy === 'off';
    $('recovery').hidden = $('review-factors').hidden = this.#off;
    $('recovery-lead').textContent = leads[policy] ?? '';
  }

  /** Names the account's owner. The app is of use to those only who know what their account is called by. */
  belongTo({ id, email, pending_email: pending }) {
    $('account-id').textContent = email ? '' : id;
    $('account-id-why').textContent = pending ? 'Your e-mail address is not confirmed yet' : 'You have given no e-mail address';
    $('account-id-note').hidden = Boolean(email);
    $('code-sheet-account').textContent = email ?? id;
  }

  /** Gets what there is; returns what shows it. */
  async load() {
    if (this.#off) return () => {};
    const { totp, backup_codes: codes } = await get('/me/recovery');
    return () => {
      this.#app.show(totp);
      this.#codes.show(codes);
    };
  }

  clear() {
    for (const id of ['account-id', 'code-sheet-account']) $(id).textContent = '';
    this.#app.clear();
    this.#codes.clear();
  }
}
