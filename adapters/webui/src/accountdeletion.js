// The deletion of the account.

import { get } from './api.js';
import { Disclosure } from './disclosure.js';
import { $ } from './dom.js';
import { del } from './session.js';
import { signalDeleted } from './signals.js';

const form = $('delete-form');
const notConfirmed = { code: 'invalid_request', fields: [{ field: 'word', detail: 'type “delete” to confirm' }] };

export class AccountDeletion {
  #disclosure = new Disclosure($('delete-account'), form);

  /** onDeleted is called after the account was deleted. */
  constructor(page, onDeleted) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if ($('delete-word').value.trim().toLowerCase() !== 'delete') return page.reject(notConfirmed, form);
      page.change($('delete-for-good'), async () => {
        const { signals } = await get('/me/passkeys');
        await page.withStepUp(() => del('/me'));
        await signalDeleted(signals);
        onDeleted();
      }, form);
    });
  }

  clear() {
    this.#disclosure.close();
  }
}
