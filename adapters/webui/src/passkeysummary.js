// The summary of a passkey, as each list shows it.

import { part } from './dom.js';
import { showDay, showTime } from './formattime.js';

/** Fills in the entry's parts name, model, sync, added, last-used and used. */
export function showSummary(entry, passkey) {
  const name = nameOf(passkey);
  const model = passkey.authenticator.name;
  part(entry, 'name').textContent = name;
  part(entry, 'name').toggleAttribute('data-nameless', !passkey.name);
  part(entry, 'model').textContent = model;
  part(entry, 'model').hidden = !model || model === name;
  part(entry, 'sync').textContent = syncState(passkey);
  showDay(part(entry, 'added'), passkey.created_at);
  part(entry, 'last-used').hidden = passkey.last_used_at === null;
  if (passkey.last_used_at !== null) showTime(part(entry, 'used'), passkey.last_used_at);
}

function nameOf({ name, authenticator, transports }) {
  const external = transports.some((transport) => transport === 'usb' || transport === 'nfc') && !transports.includes('internal');
  return name ?? authenticator.name ?? (external ? 'Security key' : 'Passkey');
}

function syncState({ backup_eligible: eligible, backed_up: backedUp }) {
  if (backedUp) return 'Synced between your devices';
  return eligible ? 'Not synced yet' : 'Bound to one device';
}
