// The recovery factors: what the user can recover the account with if all passkeys are lost.

import { AuthenticatorApp } from './authenticatorapp.js';
import { BackupCodes } from './backupcodes.js';
import { $ } from './dom.js';
import { keylodge } from './server.js';

const leads = {
  any: 'If you lose all your passkeys, either of these lets you create a new one.',
  both: 'If you lose all your passkeys, these two together let you create a new one. One alone is not enough.',
};

export class RecoveryFactors {
  #app;
  #codes;
  #off = false;

  constructor(page) {
    this.#app = new AuthenticatorApp(page);
    this.#codes = new BackupCodes(page);
  }

  /** Applies the server's recovery policy: 'any', 'both' or 'off'. */
  configure(policy) {
    this.#off = policy === 'off';
    $('recovery').hidden = $('review-factors').hidden = this.#off;
    $('recovery-lead').textContent = leads[policy] ?? '';
  }

  /** Shows what identifies the account in a recovery: a recovery with the app needs the e-mail address or the account id. */
  setUser({ id, email, pending_email: pending }) {
    $('account-id').textContent = email ? '' : id;
    $('account-id-why').textContent = pending ? 'Your e-mail address is not confirmed' : 'Your account has no e-mail address';
    $('account-id-note').hidden = Boolean(email);
    $('code-sheet-account').textContent = email ?? id;
  }

  /** Loads the factors. Returns a function that shows them. */
  async load() {
    if (this.#off) return () => {};
    const { totp, backup_codes: codes } = await keylodge.recovery.factors();
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
