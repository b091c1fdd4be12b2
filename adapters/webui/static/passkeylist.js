// The passkeys that open the account.

import { get } from './api.js';
import { $, part } from './dom.js';
import { Fold } from './fold.js';
import { showItems } from './list.js';
import { addPasskey } from './passkeys.js';
import { del, patch } from './session.js';
import { tellAccepted } from './signals.js';
import { showDay, showTime } from './when.js';

export class PasskeyList {
  #desk;
  #adding;
  #items = [];

  constructor(desk) {
    this.#desk = desk;
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

  #show(items) {
    this.#items = items;
    $('second-passkey').hidden = items.length !== 1;
    showItems($('passkey-list'), items, {
      template: $('passkey-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill,
    });
  }

  #prepare(entry, id) {
    const address = `/me/passkeys/${id}`;
    const instead = part(entry, 'actions');

    const renameForm = part(entry, 'rename-form');
    const renaming = new Fold(part(entry, 'rename'), renameForm, { instead });
    renameForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#desk.change(part(entry, 'save'), async () => {
        const { passkey } = await patch(address, { name: part(entry, 'new-name').value.trim() || null });
        renaming.close();
        return passkey.name ? `The passkey is called “${passkey.name}” now.` : 'The passkey has no name of its own any more.';
      }, renameForm);
    });

    const removeForm = part(entry, 'remove-form');
    const removing = new Fold(part(entry, 'remove'), removeForm, { instead, mayOpen: () => this.#maySpare(id) });
    removeForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#desk.change(part(entry, 'confirm'), async () => {
        const { signals } = await this.#desk.confirmed(() => del(address));
        tellAccepted(signals);
        removing.close();
        return 'The passkey is removed. It opens nothing here any more.';
      });
    });
  }

  // Nobody is asked to confirm what would be refused. A suspended passkey beside the last one opens nothing.
  #maySpare(id) {
    const others = this.#items.filter((item) => item.id !== id);
    const leaving = this.#items.find((item) => item.id === id);
    const spare = others.length > 0 && (leaving.status !== 'active' || others.some(({ status }) => status === 'active'));
    if (!spare) this.#desk.refuse({ code: 'last_passkey' });
    return spare;
  }
}

function fill(entry, passkey) {
  const suspended = passkey.status === 'suspended';
  const name = nameOf(passkey);
  const model = passkey.authenticator.name;
  part(entry, 'name').textContent = name;
  part(entry, 'name').toggleAttribute('data-nameless', !passkey.name);
  part(entry, 'new-name').defaultValue = passkey.name ?? '';
  for (const warning of ['suspended', 'why']) part(entry, warning).hidden = !suspended;
  part(entry, 'model').textContent = model;
  part(entry, 'model').hidden = !model || model === name;
  part(entry, 'kept').textContent = keptHow(passkey);
  showDay(part(entry, 'added'), passkey.created_at);
  part(entry, 'last-used').hidden = passkey.last_used_at === null;
  if (passkey.last_used_at !== null) showTime(part(entry, 'used'), passkey.last_used_at);
}

function nameOf({ name, authenticator, transports }) {
  const pluggedIn = transports.some((way) => way === 'usb' || way === 'nfc') && !transports.includes('internal');
  return name ?? authenticator.name ?? (pluggedIn ? 'Security key' : 'Passkey');
}

function keptHow({ backup_eligible: eligible, backed_up: backedUp }) {
  if (backedUp) return 'Synced between your devices';
  return eligible ? 'Not synced yet' : 'Bound to one device';
}
