// The authenticator app (TOTP): setting it up, which a first code of it completes, and removing it.

import { $ } from './dom.js';
import { Fold } from './fold.js';
import { del, post } from './session.js';
import { showDay } from './when.js';

const setup = $('app-form');
const removal = $('remove-app-form');
const instead = $('app-actions');

export class AuthenticatorApp {
  #desk;
  #setup = new Fold($('set-up-app'), setup, { instead, pressed: () => this.#begin(), closed: forget });
  #removal = new Fold($('remove-app'), removal, { instead });

  constructor(desk) {
    this.#desk = desk;
    setup.addEventListener('submit', (event) => {
      event.preventDefault();
      desk.change($('confirm-app'), async () => {
        await post('/me/recovery/totp/confirm', { code: $('app-code').value.trim() });
        this.#setup.close();
        return 'Your authenticator app is set up.';
      }, setup);
    });
    removal.addEventListener('submit', (event) => {
      event.preventDefault();
      desk.change($('confirm-remove-app'), async () => {
        await desk.confirmed(() => del('/me/recovery/totp'));
        this.#removal.close();
        return 'The authenticator app is removed. You can delete this account from it.';
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
    forget();
  }

  #begin() {
    this.#desk.change($('set-up-app'), async () => {
      const { secret, otpauth_uri: uri, qr_png: picture } = await this.#desk.confirmed(() => post('/me/recovery/totp'));
      $('app-qr').src = picture;
      $('app-link').href = uri;
      $('app-secret').textContent = secret.replace(/.{4}(?=.)/g, '$& ');
      this.#setup.open();
      return 'Scan the picture with your app, then enter the code that it shows.';
    });
  }
}

// The secret is shown once, and stays no longer than it has to.
function forget() {
  $('app-qr').removeAttribute('src');
  $('app-link').removeAttribute('href');
  $('app-secret').textContent = '';
}
