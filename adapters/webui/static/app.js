// The page: what is shown when, and what its buttons do.

import { Account } from './account.js';
import { call, get } from './api.js';
import { Autofill } from './autofill.js';
import { Devices } from './devices.js';
import { $ } from './dom.js';
import { Farewell } from './farewell.js';
import { takeGrantToken } from './grantlink.js';
import { belongTo, clear, say, tell } from './message.js';
import { PasskeyList } from './passkeylist.js';
import { obstacle, signIn, signUp } from './passkeys.js';
import { RecoveryFactors } from './recoveryfactors.js';
import { Review } from './review.js';
import { SecurityLog } from './securitylog.js';
import { del, hold } from './session.js';
import { withStepUp } from './stepup.js';
import { WayBack } from './wayback.js';

const main = document.querySelector('main');

let config = {};
let shown = null; // the id of the session on show
let busy = false;
let grantToken = takeGrantToken(); // of the link that led here

const autofill = new Autofill({ signedIn: showSignedIn, failed: tell });

// What the parts of the account page can have done for the person.
const desk = {
  /** Does what a button is for. action returns what to say of it; then everything is shown as it is now. */
  change: (button, action, form) => run(button, async () => {
    const text = await action();
    if (text) say({ text, calm: true });
    if (shown) await refresh();
  }, (error) => refused(error, form)),

  /** Does what changes nothing. */
  look: (button, action) => run(button, action, refused),

  /** Makes a call that may need a step-up. */
  confirmed: (attempt) => withStepUp(attempt, tell),

  /** Says at once what would come of it. */
  refuse: (error, form) => {
    clear();
    tell(error, form);
  },
};

const account = new Account(desk, showUser);
const review = new Review((button, id) => passkeys.remove(button, id));
const passkeys = new PasskeyList(desk, (items) => review.see(items));
const factors = new RecoveryFactors(desk);
const lists = [passkeys, factors, new Devices(desk), new SecurityLog(desk)];
const farewell = new Farewell(desk, () => leave(null, 'Your account is deleted, and all that belonged to it. Goodbye.'));
const wayBack = new WayBack({ run, enter, in: showSignedIn, out: showSignedOut, back });

// ——— States ———

function setState(state) {
  main.dataset.state = state;
  main.setAttribute('aria-busy', String(state === 'loading' || busy));
}

// The new state's heading takes the focus, so that a screen reader says where one is. A page that has just been opened
// leaves the focus alone.
function enter(state, heading) {
  const arriving = main.dataset.state === 'loading';
  setState(state);
  entitle(heading);
  if (arriving) return;
  scrollTo(0, 0);
  heading.focus();
}

function entitle(heading) {
  document.title = `${heading.textContent.trim()} · ${config.rp_name}`;
}

function showSignedOut() {
  shown = null;
  hold(null);
  forget();
  enter('signed-out', $('signed-out-heading'));
  offerAutofill();
}

function showSignedIn({ user, session, csrf_token: token }) {
  forget();
  shown = session.id;
  hold(session.id, token);
  for (const form of document.forms) form.reset();
  clear();
  showUser(user);
  review.begin(session);
  enter('signed-in', $('signed-in-heading'));
  fillRooms();
}

function showUser(answered) {
  const user = config.mail === 'on' ? answered : { ...answered, pending_email: null };
  const claimed = user.email ? null : user.pending_email;
  const name = user.display_name ?? user.email ?? claimed ?? accountTag(user.id);
  $('who').textContent = name;
  for (const [id, address] of [['who-email', user.email], ['who-claims', claimed]]) {
    $(id).textContent = address ?? '';
    $(id).hidden = !address || address === name;
  }
  $('who-unconfirmed').hidden = !claimed;
  entitle($('signed-in-heading'));
  account.show(user);
  factors.belongTo(user);
}

// What password managers list a nameless account under, so that two of them can be told apart here too.
function accountTag(id) {
  return `account ${id.slice(-6).toUpperCase()}`;
}

// Nothing of a person stays in the page once they have left.
function forget() {
  for (const id of ['who', 'who-email', 'who-claims']) $(id).textContent = '';
  for (const part of [account, review, ...lists, farewell, wayBack]) part.clear();
  $('rooms').setAttribute('aria-busy', 'true');
  $('reload').hidden = true;
}

// ——— The account's lists ———

// They come into view together, once all are there.
async function fillRooms() {
  try {
    await refresh();
  } catch (error) {
    await refused(error);
    $('reload').hidden = shown === null;
  }
}

let latest = 0;

// Of two that overtake each other, the later one counts.
async function refresh() {
  const mine = ++latest;
  const session = shown;
  const shows = await Promise.all(lists.map((list) => list.load()));
  if (mine !== latest || session !== shown) return;
  for (const show of shows) show();
  $('rooms').setAttribute('aria-busy', 'false');
  $('reload').hidden = true;
}

$('reload').addEventListener('click', () => run($('reload'), async () => {
  await refresh();
  $('passkeys-heading').focus();
}, refused));

// ——— Actions ———

// One thing at a time. Buttons stay focusable while it runs, or the keyboard's place on the page would be lost.
async function run(button, action, failed) {
  if (busy) return;
  busy = true;
  const state = main.dataset.state;
  clear();
  setBusy(button, true);
  try {
    await autofill.stop();
    if (main.dataset.state !== state) return; // a passkey had been picked from the suggestions, just before
    await action();
  } catch (error) {
    await failed(error);
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

main.addEventListener('click', (event) => {
  if (event.target.closest('[aria-disabled]')) event.stopImmediatePropagation();
}, { capture: true });

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
    run($(id), async () => {
      if (!obstacle()) say({ text: 'Your browser takes it from here…', calm: true });
      showSignedIn(await ceremony(form.elements));
      if (id === 'sign-up') account.askForCode();
    }, (error) => tell(error, form));
  });
}

$('sign-out').addEventListener('click', () => run($('sign-out'), async () => {
  await del('/session');
  await leave();
}, refused));

// Something could not be done for the person. Either they are out, or what they saw is not how things are.
async function refused(error, form) {
  if (isOut(error)) return leave(error);
  try {
    if (error.code === 'session_changed' || error.status === 404 || error.status === 409) await present(await get('/session'));
  } catch {
    // What went wrong first is what the person is told.
  }
  tell(error, form);
}

const isOut = ({ status, code }) => status === 401 || code === 'user_disabled';

// The session is over: because its owner said so, or for the reason that the server gives. That is told once: the cookie
// of a session that was ended would have it told again at every visit.
async function leave(error, goodbye = 'You are signed out.') {
  const told = error && error.code !== 'unauthenticated';
  if (told) await call('DELETE', '/session').catch(() => {});
  showSignedOut();
  if (told) tell(error);
  else say({ text: goodbye, calm: true });
}

// ——— Who is here ———

async function present(answer) {
  if (answer.session.id !== shown) {
    await autofill.stop();
    return showSignedIn(answer);
  }
  showUser(answer.user);
  await refresh();
}

async function whoIsHere() {
  try {
    const answer = await get('/session');
    if (!busy) await present(answer);
  } catch (error) {
    if (!isOut(error)) throw error;
    if (busy || main.dataset.state === 'signed-out') return;
    if (error.code === 'unauthenticated' && shown === null) showSignedOut();
    else await leave(error);
  }
}

// From the way back in. Whoever came by a link may be signed in all the same.
async function back() {
  try {
    await whoIsHere();
  } catch {
    showSignedOut();
  }
}

function followLink() {
  shown = null;
  hold(null);
  forget();
  wayBack.bring(grantToken);
  grantToken = '';
}

async function open() {
  $('retry').hidden = true;
  clear();
  try {
    config = await get('/config');
    applyConfig();
    if (grantToken) followLink();
    else await whoIsHere();
  } catch (error) {
    tell(error);
    $('retry').hidden = false;
    main.setAttribute('aria-busy', 'false');
  }
}

function applyConfig() {
  belongTo(config.rp_id);
  for (const id of ['place', 'code-sheet-place']) $(id).textContent = config.rp_name;
  for (const id of ['email-field', 'sign-up-email-field', 'account-email-field']) $(id).hidden = config.email === 'off';
  for (const id of ['sign-up-email', 'account-email']) $(id).required = config.email === 'required';
  $('sign-up-form').hidden = config.registration !== 'open';
  $('registration-note').hidden = config.registration === 'open';
  account.follow(config.mail);
  factors.follow(config.recovery.policy);
  wayBack.follow(config.recovery.policy, config.email);
  $('registration-note').textContent = 'New accounts are not taken here at the moment.';
}

$('retry').addEventListener('click', async () => {
  await open();
  main.querySelector(`.${main.dataset.state} h1`)?.focus();
});

// Another tab, or somebody else on this device, may have signed in or out meanwhile. Whoever is on the way back in was
// away to look up a code.
document.addEventListener('visibilitychange', () => {
  if (document.hidden || busy || !['signed-in', 'signed-out'].includes(main.dataset.state)) return;
  whoIsHere().catch(() => {}); // what is on show stays until the server can be asked
  offerAutofill();
});

// A link that is followed from the page itself leaves the page where it is.
addEventListener('hashchange', () => {
  grantToken = takeGrantToken();
  if (grantToken && !busy && main.dataset.state !== 'loading') followLink();
});

// The browser may bring the whole page back later (back/forward cache). It is put away without the person's name on it.
addEventListener('pagehide', () => setState('loading'));
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  shown = null;
  open();
});

open();
