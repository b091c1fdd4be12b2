// Deleting the account.

import { get } from './api.js';
import { $ } from './dom.js';
import { Fold } from './fold.js';
import { del } from './session.js';
import { tellGone } from './signals.js';

const form = $('delete-form');
const unclear = { code: 'invalid_request', fields: [{ field: 'word', detail: 'type “delete” if this is what you want' }] };

export class Farewell {
  #fold = new Fold($('delete-account'), form);

  /** gone is called when there is no account any more. */
  constructor(desk, gone) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if ($('delete-word').value.trim().toLowerCase() !== 'delete') return desk.refuse(unclear, form);
      desk.change($('delete-for-good'), async () => {
        const { signals } = await get('/me/passkeys');
        await desk.confirmed(() => del('/me'));
        await tellGone(signals);
        gone();
      }, form);
    });
  }

  clear() {
    this.#fold.close();
  }
}
