// A form that is hidden until its button is pressed.

import { clearMessage } from './message.js';

export class Disclosure {
  #button;
  #form;
  #replaces;
  #onClose;

  /**
   * While the form is open, `replaces` is hidden: the button, or the group that contains it. onPress replaces the default
   * action of the button, which is to open the form; onClose is called after the form was closed.
   */
  constructor(button, form, { replaces = button, onPress = () => this.open(), onClose = () => {} } = {}) {
    this.#button = button;
    this.#form = form;
    this.#replaces = replaces;
    this.#onClose = onClose;
    button.addEventListener('click', () => onPress());
    form.querySelector('[type="button"]').addEventListener('click', () => this.close());
    form.addEventListener('keydown', ({ key, isComposing }) => {
      if (key === 'Escape' && !isComposing) this.close();
    });
  }

  /** Opens the form and focuses its first field; a form with a tabindex has text to read first and takes the focus itself. */
  open() {
    clearMessage();
    this.#form.reset();
    this.#setOpen(true);
    if (this.#form.hasAttribute('tabindex')) return this.#form.focus();
    this.#form.querySelector('input').select();
  }

  /** Closes the form. If the focus was in the form, it returns to the button. */
  close() {
    const focused = this.#form.contains(document.activeElement);
    this.#setOpen(false);
    this.#onClose();
    if (focused) this.#button.focus();
  }

  #setOpen(open) {
    this.#form.hidden = !open;
    this.#replaces.hidden = open;
  }
}
