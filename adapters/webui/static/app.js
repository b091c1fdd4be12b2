// The page: what is shown when, and what its buttons do.

import { del, get } from './api.js';
import { Autofill } from './autofill.js';
import { obstacle, signIn, signUp } from './passkeys.js';
import { wordsFor } from './words.js';

const $ = (id) => document.getElementById(id);
const main = document.querySelector('main');
const message = $('message');

let config = {};
let shown = null; // the id of the session on show
let busy = false;

const autofill = new Autofill({ signedIn: showSignedIn, failed: tell });

// ——— States ———

function setState(state) {
  main.dataset.state = state;
  main.setAttribute('aria-busy', String(state === 'loading'));
}

// The new state's heading takes the focus, so that a screen reader says where one is. A page that has just been opened
// leaves the focus alone.
function enter(state, heading) {
  const arriving = main.dataset.state === 'loading';
  setState(state);
  document.title = `${heading.textContent.trim()} · ${config.rp_name}`;
  if (!arriving) heading.focus();
}

function showSignedOut() {
  shown = null;
  for (const id of ['who', 'who-email', 'since', 'device', 'ip', 'kept']) $(id).textContent = '';
  enter('signed-out', $('signed-out-heading'));
  offerAutofill();
}

function showSignedIn({ user, session }) {
  const name = user.display_name ?? user.email ?? accountTag(user.id);
  shown = session.id;
  $('who').textContent = name;
  $('who-email').textContent = user.email ?? '';
  $('who-email').hidden = !user.email || user.email === name;
  $('since').dateTime = session.created_at;
  $('since').textContent = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short' }).format(new Date(session.created_at));
  $('device').textContent = session.device?.name || 'Unknown device';
  $('ip').textContent = session.device?.ip || 'Unknown';
  $('kept').textContent = keptHow(session.amr ?? []);
  for (const form of document.forms) form.reset();
  clear();
  enter('signed-in', $('signed-in-heading'));
}

// What password managers list a nameless account under, so that two of them can be told apart here too.
function accountTag(id) {
  return `account ${id.slice(-6).toUpperCase()}`;
}

function keptHow(amr) {
  if (amr.includes('swk')) return 'Synced by your password manager, so that your other devices have it too';
  if (amr.includes('hwk')) return 'Bound to one device or security key; it cannot be copied';
  return 'Not known';
}

// ——— Messages ———

function say({ code, text, calm, link }) {
  message.setAttribute('role', calm ? 'status' : 'alert');
  message.dataset.tone = calm ? 'calm' : 'alarm';
  message.dataset.code = code ?? '';
  message.replaceChildren(text);
  if (link) {
    const anchor = document.createElement('a');
    anchor.href = link;
    anchor.textContent = link;
    message.append(anchor);
  }
  message.scrollIntoView({ block: 'nearest' });
}

function clear() {
  message.setAttribute('role', 'status');
  message.removeAttribute('data-code');
  message.removeAttribute('data-tone');
  message.replaceChildren();
  for (const input of document.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
  for (const complaint of document.querySelectorAll('.complaint')) complaint.remove();
}

function tell(error, form) {
  const words = wordsFor(error, config.rp_id);
  if (!words) return clear();
  say(words);
  const input = words.field && form?.elements.namedItem(words.field);
  if (input) complain(input, words.text);
}

// A fault in a field is told beside it: on a phone with its keyboard up, there is room for little else.
function complain(input, text) {
  const complaint = document.createElement('p');
  complaint.className = 'complaint';
  complaint.id = `${input.id}-complaint`;
  complaint.textContent = text;
  input.after(complaint);
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', complaint.id);
  message.dataset.tone = 'beside';
  input.focus();
}

// ——— Actions ———

// One thing at a time. Buttons stay focusable while it runs, or the keyboard's place on the page would be lost.
async function run(button, waiting, action, failed) {
  if (busy) return;
  busy = true;
  const state = main.dataset.state;
  clear();
  setBusy(button, true);
  try {
    await autofill.stop();
    if (main.dataset.state !== state) return; // a passkey had been picked from the suggestions, just before
    if (waiting) say({ text: waiting, calm: true });
    await action();
  } catch (error) {
    failed(error);
  } finally {
    busy = false;
    setBusy(button, false);
    offerAutofill();
  }
}

function setBusy(button, on) {
  main.setAttribute('aria-busy', String(on));
  button.toggleAttribute('data-busy', on);
  for (const each of main.querySelectorAll('button')) {
    if (on) each.setAttribute('aria-disabled', 'true');
    else each.removeAttribute('aria-disabled');
  }
}

function offerAutofill() {
  if (main.dataset.state === 'signed-out' && !busy && !obstacle() && config.email !== 'off') autofill.wake();
}

const ceremonies = {
  'sign-in': ({ email }) => signIn({ email: email.value.trim() }),
  'sign-up': ({ email, display_name }) => signUp({ email: email.value.trim(), displayName: display_name.value.trim() }),
};

for (const [id, ceremony] of Object.entries(ceremonies)) {
  const form = $(`${id}-form`);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    run($(id), 'Your browser takes it from here…', async () => {
      const code = obstacle();
      if (code) throw Object.assign(new Error(code), { code });
      showSignedIn(await ceremony(form.elements));
    }, (error) => tell(error, form));
  });
}

$('sign-out').addEventListener('click', () => {
  run($('sign-out'), null, async () => {
    await del('/session');
    leave();
  }, (error) => (error.status === 401 ? leave(error) : tell(error)));
});

// The session is over: because its owner said so, or for the reason that the server gives.
function leave(error) {
  showSignedOut();
  if (!error || error.code === 'unauthenticated') say({ text: 'You are signed out.', calm: true });
  else tell(error);
}

// ——— Who is here ———

async function whoIsHere() {
  try {
    const answer = await get('/session');
    if (!busy && answer.session.id !== shown) {
      await autofill.stop();
      showSignedIn(answer);
    }
  } catch (error) {
    if (error.status !== 401) throw error;
    if (busy || main.dataset.state === 'signed-out') return;
    if (error.code === 'unauthenticated' && shown === null) showSignedOut();
    else leave(error);
  }
}

async function open() {
  $('retry').hidden = true;
  clear();
  try {
    config = await get('/config');
    applyConfig();
    await whoIsHere();
  } catch (error) {
    tell(error);
    $('retry').hidden = false;
    main.setAttribute('aria-busy', 'false');
  }
}

function applyConfig() {
  $('place').textContent = config.rp_name;
  $('email-field').hidden = config.email === 'off';
  $('sign-up-email-field').hidden = config.email === 'off';
  $('sign-up-email').required = config.email === 'required';
  $('sign-up-form').hidden = config.registration !== 'open';
  $('registration-note').hidden = config.registration === 'open';
  $('registration-note').textContent = 'New accounts are not taken here at the moment.';
}

$('retry').addEventListener('click', async () => {
  await open();
  main.querySelector(`.${main.dataset.state} h1`)?.focus();
});

// Another tab, or somebody else on this device, may have signed in or out meanwhile.
document.addEventListener('visibilitychange', () => {
  if (document.hidden || busy || main.dataset.state === 'loading') return;
  whoIsHere().catch(() => {}); // what is on show stays until the server can be asked
  offerAutofill();
});

// The browser may bring the whole page back later (back/forward cache). It is put away without the person's name on it.
addEventListener('pagehide', () => setState('loading'));
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  shown = null;
  open();
});

open();
