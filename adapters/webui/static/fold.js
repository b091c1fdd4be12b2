// A form that is folded away behind a button until it is asked for.

import { clear } from './message.js';

export class Fold {
  #opener;
  #form;
  #instead;
  #closed;

  /**
   * While the form is open, `instead` is hidden: the button itself, or what it is among. pressed is what the button does,
   * if there is more to it than to open; closed is told when the form is put away.
   */
  constructor(opener, form, { instead = opener, pressed = () => this.open(), closed = () => {} } = {}) {
    this.#opener = opener;
    this.#form = form;
    this.#instead = instead;
    this.#closed = closed;
    opener.addEventListener('click', () => pressed());
    form.querySelector('[type="button"]').addEventListener('click', () => this.close());
    form.addEventListener('keydown', ({ key, isComposing }) => {
      if (key === 'Escape' && !isComposing) this.close();
    });
  }

  /** The focus goes to the first field, or to a form that takes it itself because there is something to read first. */
  open() {
    clear();
    this.#form.reset();
    this.#turn(true);
    if (this.#form.hasAttribute('tabindex')) return this.#form.focus();
    this.#form.querySelector('input').select();
  }

  /** The keyboard's place on the page goes back to the button, if it was in the form. */
  close() {
    const inside = this.#form.contains(document.activeElement);
    this.#turn(false);
    this.#closed();
    if (inside) this.#opener.focus();
  }

  #turn(open) {
    this.#form.hidden = !open;
    this.#instead.hidden = open;
  }
}
