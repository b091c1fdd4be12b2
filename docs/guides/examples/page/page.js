import { keylodge } from './keylodge.js';

const find = (id) => document.getElementById(id);
const say = (text) => { find('message').textContent = text; };

function show(session) { // {user, session}, or null
  find('signed-out').hidden = session !== null;
  find('signed-in').hidden = session === null;
  if (session) say(`Signed in as ${session.user.display_name ?? session.user.id}`);
  else suggest();
}

function fail(error) {
  const texts = {
    cancelled: 'Cancelled, or this device has no passkey for this page. Try again.',
    timed_out: 'That took too long. Try again.',
    already_registered: 'This device already has a passkey for this account. Sign in.',
    passkey_unknown: 'This passkey is not registered here. Use another one, or create an account.',
    email_taken: 'This address already has an account. Sign in.',
    rate_limited: `Too many attempts. Try again in ${error.retryAfter} seconds.`,
  };
  say(texts[error.code] ?? error.fields?.[0]?.detail ?? error.message);
}

// Offers passkeys among the suggestions of the input field with autocomplete="… webauthn".
function suggest() {
  keylodge.signIn({ autofill: true }).then(show, (error) => {
    if (error.code !== 'aborted' && error.code !== 'not_supported') fail(error);
  });
}

function on(type, id, action) {
  find(id).addEventListener(type, (event) => {
    event.preventDefault();
    action(event.target).catch(fail);
  });
}

on('submit', 'sign-in', async () => show(await keylodge.signIn()));
on('submit', 'sign-up', async (form) => show(await keylodge.signUp(Object.fromEntries(new FormData(form)))));
on('click', 'step-up', async () => {
  await keylodge.stepUp();
  say('Confirmed');
});
on('click', 'sign-out', async () => {
  await keylodge.signOut();
  say('Signed out');
  show(null);
});

keylodge.session().then(show, fail); // after a reload, the user is still signed in
