// The deletion of the account.

import { Disclosure } from './disclosure.js';
import { $ } from './dom.js';
import { keylodge } from './server.js';

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
        await keylodge.account.delete();
        onDeleted();
      }, form);
    });
  }

  clear() {
    this.#disclosure.close();
  }
}
