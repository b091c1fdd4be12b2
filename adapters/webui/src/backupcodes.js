// Backup codes: generating them, storing them, and how many are left.

import { Disclosure } from './disclosure.js';
import { $ } from './dom.js';
import { showDate, showDay } from './formattime.js';
import { showMessage } from './message.js';
import { keylodge } from './server.js';

const lowCount = 3; // a reminder is shown at this many codes or fewer
const sheet = $('code-sheet');
const replaceForm = $('replace-codes-form');
const replaces = $('codes-actions');

export class BackupCodes {
  #page;
  #remaining = 0;
  #replacement = new Disclosure($('make-codes'), replaceForm, { replaces, onPress: () => this.#confirmOrGenerate() });

  constructor(page) {
    this.#page = page;
    replaceForm.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#generate($('replace-codes'));
    });
    sheet.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#hideCodes();
      $('make-codes').focus();
    });
    $('copy-codes').addEventListener('click', () => page.read($('copy-codes'), copy));
    $('print-codes').addEventListener('click', () => print());
  }

  show({ remaining, generated_at: generatedAt }) {
    this.#remaining = remaining;
    $('codes-absent').hidden = generatedAt !== null;
    $('codes-present').hidden = generatedAt === null;
    $('codes-left').textContent = remaining;
    if (generatedAt !== null) showDay($('codes-since'), generatedAt);
    $('codes-nudge').textContent = reminder(remaining, generatedAt);
    $('codes-nudge').hidden = remaining > lowCount;
    $('make-codes').querySelector('span').textContent = generatedAt === null ? 'Generate codes' : 'Generate new codes';
  }

  clear() {
    this.#replacement.close();
    this.#hideCodes();
  }

  // The replacement of unused codes needs a confirmation.
  #confirmOrGenerate() {
    if (this.#remaining > 0) this.#replacement.open();
    else this.#generate($('make-codes'));
  }

  #generate(button) {
    this.#page.change(button, async () => {
      const codes = await keylodge.recovery.makeBackupCodes();
      this.#replacement.close();
      $('code-list').replaceChildren(...codes.map(listItem));
      showDate($('code-sheet-day'), new Date(keylodge.now()).toISOString());
      sheet.hidden = false;
      replaces.hidden = true;
      sheet.focus();
      return 'Backup codes generated. They are shown only once.';
    });
  }

  #hideCodes() {
    sheet.hidden = true;
    replaces.hidden = false;
    $('code-list').replaceChildren();
  }
}

function reminder(remaining, generatedAt) {
  if (generatedAt === null) return 'You have no backup codes. Generate them while you can still sign in, and store them away from your devices.';
  if (remaining === 0) return 'All your backup codes are used. Generate new codes while you can still sign in.';
  return `Only ${remaining} left. Generate new codes before you run out.`;
}

function listItem(code) {
  const item = document.createElement('li');
  item.append(Object.assign(document.createElement('code'), { textContent: code }));
  return item;
}

async function copy() {
  try {
    await navigator.clipboard.writeText([...$('code-list').children].map((item) => item.textContent).join('\n'));
    showMessage({ text: 'Backup codes copied. Paste them somewhere safe.', info: true });
  } catch {
    getSelection().selectAllChildren($('code-list'));
    showMessage({ text: 'Your browser did not allow the page to copy. The codes are selected: copy them yourself.' });
  }
}
