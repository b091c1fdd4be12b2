// The authenticator app (TOTP): set-up, which the first code of the app confirms, and removal.

import { Disclosure } from './disclosure.js';
import { $ } from './dom.js';
import { showDay } from './formattime.js';
import { keylodge } from './server.js';

const setup = $('app-form');
const removal = $('remove-app-form');
const replaces = $('app-actions');

export class AuthenticatorApp {
  #page;
  #setup = new Disclosure($('set-up-app'), setup, { replaces, onPress: () => this.#begin(), onClose: clearSecret });
  #removal = new Disclosure($('remove-app'), removal, { replaces });

  constructor(page) {
    this.#page = page;
    setup.addEventListener('submit', (event) => {
      event.preventDefault();
      page.change($('confirm-app'), async () => {
        await keylodge.recovery.confirmTOTP($('app-code').value.trim());
        this.#setup.close();
        return 'Authenticator app set up.';
      }, setup);
    });
    removal.addEventListener('submit', (event) => {
      event.preventDefault();
      page.change($('confirm-remove-app'), async () => {
        await keylodge.recovery.removeTOTP();
        this.#removal.close();
        return 'Authenticator app removed. Delete this account in the app too.';
      });
    });
  }

  show({ enrolled, confirmed_at: since }) {
    $('app-absent').hidden = enrolled;
    $('app-present').hidden = !enrolled;
    if (enrolled) showDay($('app-since'), since);
    $('set-up-app').querySelector('span').textContent = enrolled ? 'Replace' : 'Set up';
    $('app-replaced').hidden = !enrolled;
    $('remove-app').hidden = !enrolled;
  }

  clear() {
    this.#setup.close();
    this.#removal.close();
    clearSecret();
  }

  #begin() {
    this.#page.change($('set-up-app'), async () => {
      const { secret, otpauth_uri: uri, qr_png: image } = await keylodge.recovery.setUpTOTP();
      $('app-qr').src = image;
      $('app-link').href = uri;
      $('app-secret').textContent = secret.replace(/.{4}(?=.)/g, '$& ');
      this.#setup.open();
      return 'Scan the QR code with your app, then enter the code that the app shows.';
    });
  }
}

// The secret is shown once and removed from the page when the form closes.
function clearSecret() {
  $('app-qr').removeAttribute('src');
  $('app-link').removeAttribute('href');
  $('app-secret').textContent = '';
}
