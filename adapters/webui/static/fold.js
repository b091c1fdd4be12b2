// A form that is folded away behind a button until it is asked for.

import { clear } from './message.js';

export class Fold {
  #opener;
  #form;
  #instead;

  /** While the form is open, `instead` is hidden: the button itself, or what it is among. It opens if mayOpen says so. */
  constructor(opener, form, { instead = opener, mayOpen = () => true } = {}) {
    this.#opener = opener;
    this.#form = form;
    this.#instead = instead;
    opener.addEventListener('click', () => {
      if (mayOpen()) this.#open();
    });
    form.querySelector('[type="button"]').addEventListener('click', () => this.close());
    form.addEventListener('keydown', ({ key, isComposing }) => {
      if (key === 'Escape' && !isComposing) this.close();
    });
  }

  #open() {
    clear();
    this.#form.reset();
    this.#turn(true);
    const input = this.#form.querySelector('input');
    input?.select();
    (input ?? this.#form).focus();
  }

  /** The keyboard's place on the page goes back to the button, if it was in the form. */
  close() {
    const inside = this.#form.contains(document.activeElement);
    this.#turn(false);
    if (inside) this.#opener.focus();
  }

  #turn(open) {
    this.#form.hidden = !open;
    this.#instead.hidden = open;
  }
}
