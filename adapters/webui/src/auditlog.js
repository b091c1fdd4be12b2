// The account's audit log.

import { $, part } from './dom.js';
import { concerning, groups, reasonFor, titleFor } from './eventtexts.js';
import { showTime, timeOfDay } from './formattime.js';
import { PagedList } from './list.js';
import { keylodge } from './server.js';

export class AuditLog {
  #list;

  constructor(page) {
    const group = $('event-group');
    this.#list = new PagedList((limit, cursor) => keylodge.events.list({ limit, cursor, kind: groups[group.value] }), $('event-list'), $('more-events'), {
      template: $('event-entry'), fill,
    });
    group.addEventListener('change', () => page.read(group, async () => (await this.load())()));
    $('more-events').addEventListener('click', () => page.read($('more-events'), () => this.#list.extend()));
  }

  /** Loads the events. Returns a function that shows them. */
  load() {
    return this.#list.load();
  }

  clear() {
    $('event-group').value = '';
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
  const [ip, ...others] = event.addresses;
  for (const [detail, text] of Object.entries({
    count: event.count > 1 ? `${event.count} times, until ${timeOfDay(event.last_at)}` : '',
    name: event.device?.name ?? '',
    ip: others.length > 0 ? `${ip} and ${others.length} more` : ip ?? '',
  })) {
    part(entry, detail).textContent = text;
    part(entry, detail).hidden = !text;
  }
}
