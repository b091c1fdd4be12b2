// The devices where the user is signed in: the account's sessions.

import { $, part } from './dom.js';
import { showDay, showTime } from './formattime.js';
import { PagedList } from './list.js';
import { keylodge } from './server.js';

export class Devices {
  #page;
  #list;

  constructor(page) {
    this.#page = page;
    this.#list = new PagedList((limit, cursor) => keylodge.sessions.list({ limit, cursor }), $('device-list'), $('more-devices'), {
      template: $('device-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill,
    });
    $('more-devices').addEventListener('click', () => page.read($('more-devices'), () => this.#list.extend()));
    $('sign-out-others').addEventListener('click', () => page.change($('sign-out-others'), async () => {
      const revoked = await keylodge.sessions.endOthers();
      if (revoked === 0) return 'You are not signed in anywhere else.';
      return revoked === 1 ? 'Signed out on 1 other device.' : `Signed out on ${revoked} other devices.`;
    }));
  }

  /** Loads the sessions. Returns a function that shows them. */
  async load() {
    const render = await this.#list.load();
    return () => {
      render();
      const button = $('sign-out-others');
      const focused = button === document.activeElement;
      button.hidden = this.#list.length < 2;
      if (focused && button.hidden) $('devices-heading').focus();
    };
  }

  clear() {
    this.#list.clear();
  }

  #prepare(entry, id) {
    const button = part(entry, 'sign-out');
    button.addEventListener('click', () => this.#page.change(button, async () => {
      const name = part(entry, 'name').textContent;
      await keylodge.sessions.end(id);
      return `Signed out on ${name}.`;
    }));
  }
}

function fill(entry, session) {
  part(entry, 'name').textContent = session.device.name || 'Unknown device';
  part(entry, 'current').hidden = !session.current;
  part(entry, 'sign-out').hidden = session.current;
  part(entry, 'app').hidden = session.transport !== 'bearer';
  part(entry, 'ip').textContent = session.device.ip;
  part(entry, 'ip').hidden = !session.device.ip;
  showTime(part(entry, 'seen'), session.last_seen_at);
  showDay(part(entry, 'since'), session.created_at);
}
