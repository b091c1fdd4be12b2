// The account's passkeys.

import { Disclosure } from './disclosure.js';
import { $, part } from './dom.js';
import { showItems } from './list.js';
import { showSummary } from './passkeysummary.js';
import { keylodge } from './server.js';

export class PasskeyList {
  #page;
  #onShow;
  #adding;
  #items = [];

  /** onShow gets the passkeys each time that they are shown. */
  constructor(page, onShow) {
    this.#page = page;
    this.#onShow = onShow;
    const form = $('add-passkey-form');
    this.#adding = new Disclosure($('add-passkey'), form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      page.change($('make-passkey'), async () => {
        await keylodge.passkeys.add({ name: $('new-passkey-name').value.trim() });
        this.#adding.close();
        return 'Passkey added. You can sign in with it now.';
      }, form);
    });
  }

  /** Loads the passkeys. Returns a function that shows them. */
  async load() {
    const items = await keylodge.passkeys.list();
    return () => this.#show(items);
  }

  clear() {
    this.#adding.close();
    this.#show([]);
  }

  /** Removes a passkey when its button is pressed; onRemoved is called afterwards. */
  remove(button, id, onRemoved = () => {}) {
    this.#page.change(button, async () => {
      await keylodge.passkeys.remove(id);
      onRemoved();
      return 'Passkey removed.';
    });
  }

  #show(items) {
    this.#items = items;
    this.#onShow(items);
    $('second-passkey').hidden = items.length !== 1;
    showItems($('passkey-list'), items, {
      template: $('passkey-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill,
    });
  }

  #prepare(entry, id) {
    const replaces = part(entry, 'actions');

    const renameForm = part(entry, 'rename-form');
    const renaming = new Disclosure(part(entry, 'rename'), renameForm, { replaces });
    renameForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#page.change(part(entry, 'save'), async () => {
        const passkey = await keylodge.passkeys.rename(id, part(entry, 'new-name').value.trim() || null);
        renaming.close();
        return passkey.name ? `Passkey renamed to “${passkey.name}”.` : 'Passkey name removed.';
      }, renameForm);
    });

    const removeForm = part(entry, 'remove-form');
    const removing = new Disclosure(part(entry, 'remove'), removeForm, {
      replaces,
      onPress: () => {
        if (this.#canRemove(id)) removing.open();
        else this.#page.reject({ code: 'last_passkey' });
      },
    });
    removeForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.remove(part(entry, 'confirm'), id, () => removing.close());
    });
  }

  // The server rejects the removal of the last active passkey, so the page does not ask to confirm it.
  #canRemove(id) {
    const others = this.#items.filter((item) => item.id !== id);
    const removed = this.#items.find((item) => item.id === id);
    return others.length > 0 && (removed.status !== 'active' || others.some(({ status }) => status === 'active'));
  }
}

function fill(entry, passkey) {
  showSummary(entry, passkey);
  part(entry, 'new-name').defaultValue = passkey.name ?? '';
  for (const warning of ['suspended', 'why']) part(entry, warning).hidden = passkey.status !== 'suspended';
}
