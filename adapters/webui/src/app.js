// The page: its states, what each of them shows, and what its buttons do.

import { Account } from './account.js';
import { AccountDeletion } from './accountdeletion.js';
import { Devices } from './devices.js';
import { $ } from './dom.js';
import { clearMessage, setRPID, showError, showMessage } from './message.js';
import { PasskeyList } from './passkeylist.js';
import { Recovery } from './recovery.js';
import { RecoveryFactors } from './recoveryfactors.js';
import { takeGrantToken } from './recoverylink.js';
import { Review } from './review.js';
import { AuditLog } from './auditlog.js';
import { keylodge } from './server.js';

const main = document.querySelector('main');

let config = {};
let sessionID = null; // of the session that the page shows
let busy = false;
let grantToken = takeGrantToken(); // from the recovery link that opened the page

// What the parts of the page ask the page to do.
const page = {
  run,
  enter,
  showSignedIn,
  showSignedOut,
  leaveRecovery,

  /** Runs a button's action, shows the text that it returns, and loads the account's lists again. */
  change: (button, action, form) => run(button, async () => {
    const text = await action();
    if (text) showMessage({ text, info: true });
    if (sessionID) await refresh();
  }, (error) => handleError(error, form)),

  /** Runs a button's action that changes nothing on the server. */
  read: (button, action) => run(button, action, handleError),

  /** Shows an error without a call to the server. */
  reject: (error, form) => {
    clearMessage();
    showError(error, form);
  },
};

const account = new Account(page, showUser);
const review = new Review((button, id) => passkeys.remove(button, id));
const passkeys = new PasskeyList(page, (items) => review.update(items));
const factors = new RecoveryFactors(page);
const lists = [passkeys, factors, new Devices(page), new AuditLog(page)];
const deletion = new AccountDeletion(page, () => endSession(null, 'Your account and all its data were deleted.'));
const recovery = new Recovery(page);

// ——— States ———

function setState(state) {
  main.dataset.state = state;
  main.setAttribute('aria-busy', String(state === 'loading' || busy));
}

// Focuses the new state's heading, so that a screen reader announces it. The first state after loading keeps the focus
// where it is.
function enter(state, heading) {
  const initial = main.dataset.state === 'loading';
  setState(state);
  setTitle(heading);
  if (initial) return;
  scrollTo(0, 0);
  heading.focus();
}

function setTitle(heading) {
  document.title = `${heading.textContent.trim()} · ${config.rp_name}`;
}

function showSignedOut() {
  sessionID = null;
  keylodge.use(null);
  clearAccount();
  enter('signed-out', $('signed-out-heading'));
  offerAutofill();
}

function showSignedIn(answer) {
  const { user, session } = answer;
  clearAccount();
  sessionID = session.id;
  keylodge.use(answer);
  for (const form of document.forms) form.reset();
  clearMessage();
  showUser(user);
  review.begin(session);
  enter('signed-in', $('signed-in-heading'));
  loadLists();
}

function showUser(answer) {
  const user = config.mail === 'on' ? answer : { ...answer, pending_email: null };
  const pending = user.email ? null : user.pending_email;
  const name = user.display_name ?? user.email ?? pending ?? accountTag(user.id);
  $('who').textContent = name;
  for (const [id, address] of [['who-email', user.email], ['who-pending-email', pending]]) {
    $(id).textContent = address ?? '';
    $(id).hidden = !address || address === name;
  }
  $('who-unconfirmed').hidden = !pending;
  setTitle($('signed-in-heading'));
  account.show(user);
  factors.setUser(user);
}

// The name under which password managers list an account without a name or address.
function accountTag(id) {
  return `account ${id.slice(-6).toUpperCase()}`;
}

// Removes all data of the account from the page.
function clearAccount() {
  for (const id of ['who', 'who-email', 'who-pending-email']) $(id).textContent = '';
  for (const part of [account, review, ...lists, deletion, recovery]) part.clear();
  $('account-lists').setAttribute('aria-busy', 'true');
  $('reload').hidden = true;
}

// ——— The account's lists ———

// The lists become visible together, when all of them are loaded.
async function loadLists() {
  try {
    await refresh();
  } catch (error) {
    await handleError(error);
    $('reload').hidden = sessionID === null;
  }
}

let latestRefresh = 0;

// If two refreshes overlap, only the one that started last shows its result.
async function refresh() {
  const current = ++latestRefresh;
  const session = sessionID;
  const renders = await Promise.all(lists.map((list) => list.load()));
  if (current !== latestRefresh || session !== sessionID) return;
  for (const render of renders) render();
  $('account-lists').setAttribute('aria-busy', 'false');
  $('reload').hidden = true;
}

$('reload').addEventListener('click', () => run($('reload'), async () => {
  await refresh();
  $('passkeys-heading').focus();
}, handleError));

// ——— Actions ———

// Runs one action at a time. Buttons stay focusable while it runs, so that the keyboard focus is not lost.
async function run(button, action, onError) {
  if (busy) return;
  busy = true;
  const state = main.dataset.state;
  clearMessage();
  setBusy(button, true);
  try {
    await stopSuggesting();
    if (main.dataset.state !== state) return; // a passkey from the suggestions has just signed in
    await action();
  } catch (error) {
    await onError(error);
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

// Passkeys among the suggestions of the e-mail field: a sign-in that waits for the user to pick one.
let suggesting = null;

function offerAutofill() {
  if (suggesting || main.dataset.state !== 'signed-out' || busy || keylodge.obstacle() || config.email === 'off') return;
  const controller = new AbortController();
  suggesting = { controller, settled: suggest(controller.signal) };
}

async function suggest(signal) {
  const started = Date.now();
  try {
    const answer = await keylodge.signIn({ autofill: true, signal });
    suggesting = null;
    showSignedIn(answer);
  } catch (error) {
    suggesting = null;
    if (error.code === 'aborted' || error.code === 'not_supported') return;
    showError(error);
    if (Date.now() - started > 1000) offerAutofill(); // what failed sooner was not picked by a user, and would fail again
  }
}

async function stopSuggesting() {
  suggesting?.controller.abort();
  await suggesting?.settled;
}

const ceremonies = {
  'sign-in': ({ email }) => keylodge.signIn({ email: email.value.trim() }),
  'sign-up': ({ email, display_name }) => keylodge.signUp({ email: email.value.trim(), display_name: display_name.value.trim() }),
};

for (const [id, ceremony] of Object.entries(ceremonies)) {
  const form = $(`${id}-form`);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    run($(id), async () => {
      if (!keylodge.obstacle()) showMessage({ text: 'Continue in your browser’s prompt…', info: true });
      showSignedIn(await ceremony(form.elements));
      if (id === 'sign-up') account.focusCode();
    }, (error) => showError(error, form));
  });
}

$('sign-out').addEventListener('click', () => run($('sign-out'), async () => {
  await keylodge.signOut();
  await endSession();
}, handleError));

// Shows why an action failed. If the session has ended, the page shows the signed-out state. If the page shows outdated
// data, the data is loaded again.
async function handleError(error, form) {
  if (endsSession(error)) return endSession(error);
  try {
    if (error.code === 'session_changed' || error.status === 404 || error.status === 409) await showSession(await keylodge.call('GET', '/session'));
  } catch {
    // The first error is the one that the user sees.
  }
  showError(error, form);
}

const endsSession = ({ status, code }) => status === 401 || code === 'user_disabled';

// Shows the signed-out state and why: error is the server's reason, if it gave one. The cookie of an ended session is
// removed, so that the reason is not shown again at the next visit.
async function endSession(error, text = 'You are signed out.') {
  const hasReason = error && error.code !== 'unauthenticated';
  if (hasReason) await keylodge.call('DELETE', '/session').catch(() => {});
  showSignedOut();
  if (hasReason) showError(error);
  else showMessage({ text, info: true });
}

// ——— The current session ———

async function showSession(answer) {
  if (answer.session.id !== sessionID) {
    await stopSuggesting();
    return showSignedIn(answer);
  }
  showUser(answer.user);
  await refresh();
}

const getSession = () => keylodge.call('GET', '/session/state');

async function checkSession(answering = getSession()) {
  try {
    const answer = await answering;
    if (busy) return;
    if (answer.session) await showSession(answer);
    else if (sessionID !== null) await endSession();
    else if (main.dataset.state !== 'signed-out') showSignedOut();
  } catch (error) {
    if (!endsSession(error)) throw error;
    if (!busy && main.dataset.state !== 'signed-out') await endSession(error);
  }
}

// A user who opened a recovery link may have a session too.
async function leaveRecovery() {
  try {
    await checkSession();
  } catch {
    showSignedOut();
  }
}

function openRecoveryLink() {
  sessionID = null;
  keylodge.use(null);
  clearAccount();
  recovery.enrol(grantToken);
  grantToken = '';
}

async function open() {
  $('retry').hidden = true;
  clearMessage();
  const answering = grantToken ? null : getSession(); // beside the configuration, so that the page waits once
  answering?.catch(() => {}); // checkSession handles it
  try {
    config = await keylodge.config();
    applyConfig();
    if (grantToken) openRecoveryLink();
    else await checkSession(answering ?? undefined);
  } catch (error) {
    showError(error);
    $('retry').hidden = false;
    main.setAttribute('aria-busy', 'false');
  }
}

function applyConfig() {
  setRPID(config.rp_id);
  for (const id of ['place', 'code-sheet-place']) $(id).textContent = config.rp_name;
  for (const id of ['email-field', 'sign-up-email-field', 'account-email-field']) $(id).hidden = config.email === 'off';
  for (const id of ['sign-up-email', 'account-email']) $(id).required = config.email === 'required';
  $('sign-up-form').hidden = config.registration !== 'open';
  $('registration-note').hidden = config.registration === 'open';
  account.configure(config.mail);
  factors.configure(config.recovery.policy);
  recovery.configure(config.recovery.policy, config.email);
  $('registration-note').textContent = 'Registration is closed. Contact support if you need an account.';
}

$('retry').addEventListener('click', async () => {
  await open();
  main.querySelector(`.${main.dataset.state} h1`)?.focus();
});

// Another tab or another user of the device may have signed in or out while the page was hidden. A recovery is not
// interrupted: its user may have switched to another app to look up a code.
document.addEventListener('visibilitychange', () => {
  if (document.hidden || busy || !['signed-in', 'signed-out'].includes(main.dataset.state)) return;
  checkSession().catch(() => {}); // the page keeps what it shows until the server can be reached
  offerAutofill();
});

// A recovery link that is opened in this tab changes only the fragment, so the page is not loaded again.
addEventListener('hashchange', () => {
  grantToken = takeGrantToken();
  if (grantToken && !busy && main.dataset.state !== 'loading') openRecoveryLink();
});

// The browser may restore the page from its back/forward cache. The cached page must not show the account's data.
addEventListener('pagehide', () => setState('loading'));
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  sessionID = null;
  open();
});

open();
