// Where the person is signed in.

import { get } from './api.js';
import { $, part } from './dom.js';
import { PagedList } from './list.js';
import { del } from './session.js';
import { showDay, showTime } from './when.js';

export class Devices {
  #desk;
  #list;

  constructor(desk) {
    this.#desk = desk;
    this.#list = new PagedList((limit, cursor) => get('/me/sessions', { limit, cursor }), $('device-list'), $('more-devices'), {
      template: $('device-entry'), prepare: (entry, { id }) => this.#prepare(entry, id), fill,
    });
    $('more-devices').addEventListener('click', () => desk.look($('more-devices'), () => this.#list.extend()));
    $('sign-out-others').addEventListener('click', () => desk.change($('sign-out-others'), async () => {
      const { revoked } = await del('/me/sessions');
      if (revoked === 0) return 'You were signed in nowhere else.';
      return revoked === 1 ? 'You are signed out in 1 other place.' : `You are signed out in ${revoked} other places.`;
    }));
  }

  /** Gets the places; returns what shows them. */
  async load() {
    const show = await this.#list.load();
    return () => {
      show();
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
    button.addEventListener('click', () => this.#desk.change(button, async () => {
      const name = part(entry, 'name').textContent;
      await del(`/me/sessions/${id}`);
      return `You are signed out there: ${name}.`;
    }));
  }
}

function fill(entry, session) {
  part(entry, 'name').textContent = session.device.name || 'Unknown device';
  part(entry, 'current').hidden = !session.current;
  part(entry, 'sign-out').hidden = session.current;
  part(entry, 'program').hidden = session.transport !== 'bearer';
  part(entry, 'ip').textContent = session.device.ip;
  part(entry, 'ip').hidden = !session.device.ip;
  showTime(part(entry, 'seen'), session.last_seen_at);
  showDay(part(entry, 'since'), session.created_at);
}
