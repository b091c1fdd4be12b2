// What is told of a passkey wherever it is on show.

import { part } from './dom.js';
import { showDay, showTime } from './when.js';

/** Fills in the entry's parts name, model, kept, added, last-used and used. */
export function showFacts(entry, passkey) {
  const name = nameOf(passkey);
  const model = passkey.authenticator.name;
  part(entry, 'name').textContent = name;
  part(entry, 'name').toggleAttribute('data-nameless', !passkey.name);
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
