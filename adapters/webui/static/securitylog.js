// What has happened to the account.

import { get } from './api.js';
import { $, part } from './dom.js';
import { concerning, reasonFor, titleFor } from './eventwords.js';
import { PagedList } from './list.js';
import { showTime } from './when.js';

export class SecurityLog {
  #list;

  constructor(desk) {
    this.#list = new PagedList((limit, cursor) => get('/me/events', { limit, cursor }), $('event-list'), $('more-events'), {
      template: $('event-entry'), fill,
    });
    $('more-events').addEventListener('click', () => desk.look($('more-events'), () => this.#list.extend()));
  }

  /** Gets the entries; returns what shows them. */
  load() {
    return this.#list.load();
  }

  clear() {
    this.#list.clear();
  }
}

function fill(entry, event) {
  const reason = reasonFor(event);
  entry.dataset.kind = event.kind;
  entry.dataset.reason = event.reason ?? '';
  entry.classList.toggle('concerning', concerning(event));
  part(entry, 'title').textContent = titleFor(event);
  part(entry, 'reason').textContent = reason;
  part(entry, 'reason').hidden = !reason;
  showTime(part(entry, 'at'), event.at);
  for (const detail of ['name', 'ip']) {
    part(entry, detail).textContent = event.device?.[detail] ?? '';
    part(entry, detail).hidden = !event.device?.[detail];
  }
}
