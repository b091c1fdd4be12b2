// The passkeys that open the account.

import { get } from './api.js';
import { $, part } from './dom.js';
import { Fold } from './fold.js';
import { showItems } from './list.js';
import { showFacts } from './passkeyfacts.js';
import { addPasskey } from './passkeys.js';
import { del, patch } from './session.js';
import { tellAccepted } from './signals.js';

export class PasskeyList {
  #desk;
  #changed;
  #adding;
  #items = [];

  /** changed gets the passkeys as they are, whenever they are shown. */
  constructor(desk, changed) {
    this.#desk = desk;
    this.#changed = changed;
    const form = $('add-passkey-form');
    this.#adding = new Fold($('add-passkey'), form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      desk.change($('make-passkey'), async () => {
        await desk.confirmed(() => addPasskey({ name: $('new-passkey-name').value.trim() }));
        this.#adding.close();
        return 'The new passkey opens your account from now on.';
      }, form);
    });
  }

  /** Gets the passkeys; returns what shows them. */
  async load() {
    const { items } = await get('/me/passkeys');
    return () => this.#show(items);
  }

  clear() {
    this.#adding.close();
    this.#show([]);
  }

  /** Removes a passkey at the press of a button; done is called once it is. */
  remove(button, id, done = () => {}) {
    this.#desk.change(button, async () => {
      const { signals } = await this.#desk.confirmed(() => del(addressOf(id)));
      tellAccepted(signals);
      done();
      return 'The passkey is removed. It opens nothing here any more.';
    });
  }

  #show(items) {
    this.#items = items;
    this.#changed(items);
    $('second-passkey').hidden = items.length !== 1;
    showItems($('passkey-list'), items, {
      template: $('passkey-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill,
    });
  }

  #prepare(entry, id) {
    const instead = part(entry, 'actions');

    const renameForm = part(entry, 'rename-form');
    const renaming = new Fold(part(entry, 'rename'), renameForm, { instead });
    renameForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#desk.change(part(entry, 'save'), async () => {
        const { passkey } = await patch(addressOf(id), { name: part(entry, 'new-name').value.trim() || null });
        renaming.close();
        return passkey.name ? `The passkey is called “${passkey.name}” now.` : 'The passkey has no name of its own any more.';
      }, renameForm);
    });

    const removeForm = part(entry, 'remove-form');
    const removing = new Fold(part(entry, 'remove'), removeForm, {
      instead,
      pressed: () => {
        if (this.#canSpare(id)) removing.open();
        else this.#desk.refuse({ code: 'last_passkey' });
      },
    });
    removeForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.remove(part(entry, 'confirm'), id, () => removing.close());
    });
  }

  // Nobody is asked to confirm what would be refused. A suspended passkey beside the last one opens nothing.
  #canSpare(id) {
    const others = this.#items.filter((item) => item.id !== id);
    const leaving = this.#items.find((item) => item.id === id);
    return others.length > 0 && (leaving.status !== 'active' || others.some(({ status }) => status === 'active'));
  }
}

const addressOf = (id) => `/me/passkeys/${id}`;

function fill(entry, passkey) {
  showFacts(entry, passkey);
  part(entry, 'new-name').defaultValue = passkey.name ?? '';
  for (const warning of ['suspended', 'why']) part(entry, warning).hidden = passkey.status !== 'suspended';
}
