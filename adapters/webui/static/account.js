// What the account says about its owner.

import { $ } from './dom.js';
import { patch } from './session.js';
import { tellAccepted } from './signals.js';

const form = $('account-form');
const members = ['display_name', 'email'];

export class Account {
  #shown = {};

  /** changed gets the user as they are then. */
  constructor(desk, changed) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      desk.change($('save-account'), async () => {
        const corrections = this.#corrections();
        if (Object.keys(corrections).length === 0) return 'There was nothing to change.';
        const { user, signals } = await desk.confirmed(() => patch('/me', corrections));
        tellAccepted(signals);
        for (const name of members) form.elements.namedItem(name).value = user[name] ?? '';
        changed(user);
        return 'Your account is up to date.';
      }, form);
    });
  }

  /** What somebody is about to correct stays as they typed it. */
  show(user) {
    const typed = this.#corrections();
    this.#shown = user;
    for (const name of members) {
      if (!(name in typed)) form.elements.namedItem(name).value = user[name] ?? '';
    }
  }

  clear() {
    this.#shown = {};
    form.reset();
  }

  #corrections() {
    const typed = members.map((name) => [name, form.elements.namedItem(name).value.trim() || null]);
    return Object.fromEntries(typed.filter(([name, value]) => value !== (this.#shown[name] ?? null)));
  }
}
