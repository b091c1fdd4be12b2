// Backup codes: making them, keeping them, and how many are left.

import { serverNow } from './api.js';
import { $ } from './dom.js';
import { Fold } from './fold.js';
import { say } from './message.js';
import { post } from './session.js';
import { showDate, showDay } from './when.js';

const few = 3;
const sheet = $('code-sheet');
const replacing = $('replace-codes-form');
const instead = $('codes-actions');

export class BackupCodes {
  #desk;
  #remaining = 0;
  #replacing = new Fold($('make-codes'), replacing, { instead, pressed: () => this.#mayReplace() });

  constructor(desk) {
    this.#desk = desk;
    replacing.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#make($('replace-codes'));
    });
    sheet.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#putAway();
      $('make-codes').focus();
    });
    $('copy-codes').addEventListener('click', () => desk.look($('copy-codes'), copy));
    $('print-codes').addEventListener('click', () => print());
  }

  show({ remaining, generated_at: madeAt }) {
    this.#remaining = remaining;
    $('codes-absent').hidden = madeAt !== null;
    $('codes-present').hidden = madeAt === null;
    $('codes-left').textContent = remaining;
    if (madeAt !== null) showDay($('codes-since'), madeAt);
    $('codes-nudge').textContent = nudge(remaining, madeAt);
    $('codes-nudge').hidden = remaining > few;
    $('make-codes').querySelector('span').textContent = madeAt === null ? 'Make codes' : 'Make new ones';
  }

  clear() {
    this.#replacing.close();
    this.#putAway();
  }

  // Codes that still count are not replaced by one press.
  #mayReplace() {
    if (this.#remaining > 0) this.#replacing.open();
    else this.#make($('make-codes'));
  }

  #make(button) {
    this.#desk.change(button, async () => {
      const { codes } = await this.#desk.confirmed(() => post('/me/recovery/backup-codes'));
      this.#replacing.close();
      $('code-list').replaceChildren(...codes.map(entry));
      showDate($('code-sheet-day'), new Date(serverNow()).toISOString());
      sheet.hidden = false;
      instead.hidden = true;
      sheet.focus();
      return 'Here are your codes. They are shown this once.';
    });
  }

  #putAway() {
    sheet.hidden = true;
    instead.hidden = false;
    $('code-list').replaceChildren();
  }
}

function nudge(remaining, madeAt) {
  if (madeAt === null) return 'You have none yet. Make some while you can still sign in, and keep them away from your devices.';
  if (remaining === 0) return 'All of them are used. Make new ones now, while you can still sign in.';
  return `Only ${remaining} left. Make new ones before you run out.`;
}

function entry(code) {
  const item = document.createElement('li');
  item.append(Object.assign(document.createElement('code'), { textContent: code }));
  return item;
}

async function copy() {
  try {
    await navigator.clipboard.writeText([...$('code-list').children].map((item) => item.textContent).join('\n'));
    say({ text: 'Copied. Paste them where only you can see them.', calm: true });
  } catch {
    getSelection().selectAllChildren($('code-list'));
    say({ text: 'Your browser did not let the page copy. The codes are selected: copy them yourself.' });
  }
}
