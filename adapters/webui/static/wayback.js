// The way back in for whoever has no passkey left: codes first, then a new passkey. What the codes bought is kept here, and
// nowhere else, until the passkey is made.

import { post } from './api.js';
import { $ } from './dom.js';
import { clear, say, tell } from './message.js';
import { enrolWithGrant } from './passkeys.js';
import { showTime } from './when.js';

const form = $('recover-form');
const account = $('recover-account');
const over = { code: 'invalid_code', text: 'The time to make a new passkey is over, or it was made already. Start again with another code.' };

export class WayBack {
  #stage;
  #policy = 'off';
  #token = ''; // the grant's

  /** stage has run(button, action, failed) and enter(state, heading), as app.js has them; in(answer), out() and back() lead away. */
  constructor(stage) {
    this.#stage = stage;
    $('lost-passkey').addEventListener('click', () => stage.run($('lost-passkey'), () => this.#ask(), tell));
    for (const choice of form.elements.by) choice.addEventListener('change', () => this.#turn());
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      stage.run($('recover'), () => this.#redeem(), (error) => this.#failed(error));
    });
    $('enrol').addEventListener('click', () => stage.run($('enrol'), () => this.#enrol(), (error) => this.#failed(error)));
    for (const button of document.querySelectorAll('[data-part="to-sign-in"]')) {
      button.addEventListener('click', () => {
        clear();
        stage.back();
      });
    }
  }

  /** Goes by the server's policy and by whether its accounts have e-mail addresses. */
  follow(policy, email) {
    this.#policy = policy;
    $('lost-passkey').hidden = policy === 'off';
    $('recover-by').hidden = policy === 'both';
    $('recover-lead').textContent = policy === 'both'
      ? 'A code of your authenticator app, and one of your backup codes, let you make a new one.'
      : 'A code that you kept for this lets you make a new one.';
    $('recover-account-label').textContent = email === 'off' ? 'Account id' : 'E-mail or account id';
  }

  /** Goes on with a grant that was not bought here. */
  bring(token) {
    this.#token = token;
    this.#stage.enter('enrolling', $('enrolling-heading'));
  }

  clear() {
    this.#token = '';
    form.reset();
    $('enrol-limit').hidden = true;
    this.#label('Make a new passkey');
  }

  #ask() {
    this.clear();
    this.#turn();
    this.#stage.enter('recovering', $('recovering-heading'));
  }

  // A part of the form that is not asked for is disabled as well, or its required fields would stand in the way unseen.
  #turn() {
    const by = this.#policy === 'both' ? ['app', 'backup'] : [form.elements.by.value];
    for (const way of ['app', 'backup']) {
      const part = $(`recover-by-${way}`);
      part.hidden = part.disabled = !by.includes(way);
    }
  }

  async #redeem() {
    const { grant_token: token, expires_at: end } = await post('/recovery/redeem', this.#claim());
    form.reset();
    showTime($('enrol-until'), end);
    $('enrol-limit').hidden = false;
    this.bring(token);
    await this.#enrol();
  }

  #claim() {
    const name = account.value.trim();
    account.name = name.includes('@') ? 'email' : 'user_id'; // what the server may say of it is told beside it
    const entered = new FormData(form);
    entered.delete('by');
    return Object.fromEntries([...entered].map(([member, value]) => [member, value.trim()]));
  }

  async #enrol() {
    say({ text: 'Your browser takes it from here…', calm: true });
    this.#stage.in(await enrolWithGrant(this.#token));
  }

  #failed(error) {
    if (!this.#token) return tell(error, form);
    if (error.code !== 'invalid_code') {
      this.#label('Try again');
      return tell(error);
    }
    if (this.#policy === 'off') this.#stage.out();
    else this.#ask();
    say(over);
  }

  #label(text) {
    $('enrol').querySelector('span').textContent = text;
  }
}
