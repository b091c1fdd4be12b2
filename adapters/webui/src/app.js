// Keylodge's own page: its elements at addresses of their own.

import { clientOf } from '../elements/client.js';
import { bestLanguage, languageNames } from '../elements/messages.js';
import { defineSignIn } from '../elements/signin/signin.jsx';
import { defineStepUp } from '../elements/stepup/stepup.jsx';
import { takeGrantToken } from './recoverylink.js';

const client = clientOf(location.origin);
const main = document.querySelector('main');

const addressOf = { 'sign-in': '/login', 'sign-up': '/signup', recover: '/recover' };
const viewAt = Object.fromEntries(Object.entries(addressOf).map(([view, address]) => [address, view]));

// ——— Language ———

const languageKey = 'keylodge-language';
const language = bestLanguage(localStorage.getItem(languageKey), ...navigator.languages);
document.documentElement.lang = language;

const choice = document.getElementById('language');
choice.append(...Object.entries(languageNames).map(([tag, name]) => new Option(name, tag, false, tag === language.slice(0, 2))));
choice.addEventListener('change', () => {
  localStorage.setItem(languageKey, choice.value);
  location.reload();
});

// ——— What is shown ———

let shown = null; // the element in main

function show(tag, attributes) {
  const replaced = shown;
  if (shown?.localName !== tag) shown = document.createElement(tag);
  // The focus goes to the new heading, unless the page has just been loaded.
  for (const [name, value] of Object.entries({ lang: language, autofocus: replaced ? '' : null, ...attributes })) {
    if (value === null || value === undefined) shown.removeAttribute(name);
    else shown.setAttribute(name, value);
  }
  if (shown !== replaced) main.replaceChildren(shown);
}

function showSignIn({ notice, grant } = {}) {
  document.documentElement.dataset.session = 'signed-out';
  show('keylodge-sign-in', { view: viewAt[location.pathname] ?? 'sign-in', notice, grant });
}

async function showAccount() {
  const { defineAccount } = await import('../elements/account/account.jsx');
  defineAccount();
  document.documentElement.dataset.session = 'signed-in';
  if (!location.pathname.startsWith('/account')) history.replaceState(null, '', '/account');
  const [, section] = location.pathname.match(/^\/account\/([\w-]+)$/) ?? [];
  show('keylodge-account', { section });
}

// Shows what belongs to the session and the address. If the server does not tell whether there is a session, the account offers to try again.
async function open() {
  let reason = null;
  const end = client.onSession(({ type, error }) => {
    if (type === 'ended') reason = error?.code;
  });
  const session = await client.session().catch(() => undefined);
  end();
  if (session === null) showSignIn({ notice: reason });
  else showAccount();
}

function openRecoveryLink(grant) {
  client.use(null); // the account of the link may be another one than that of the session
  showSignIn({ grant });
}

function start() {
  const grant = takeGrantToken();
  if (grant) openRecoveryLink(grant);
  else open();
}

// ——— Events of the elements ———

addEventListener('keylodge-signed-in', showAccount);

addEventListener('keylodge-signed-out', ({ detail: { error, deleted } }) => {
  history.replaceState(null, '', addressOf['sign-in']);
  showSignIn({ notice: error?.code ?? (deleted ? 'deleted' : 'signed_out') });
});

addEventListener('keylodge-view', ({ detail: { view } }) => {
  history.pushState(null, '', addressOf[view]);
  showSignIn();
  if (view === 'sign-in') client.session().catch(() => {}); // a user who opened a recovery link may be signed in
});

addEventListener('keylodge-section', ({ detail: { section } }) => history.pushState(null, '', `/account/${section}`));

addEventListener('keylodge-heading', async ({ detail: { text } }) => {
  document.title = `${text} · ${(await client.config()).rp_name}`;
});

// ——— Events of the browser ———

addEventListener('popstate', () => {
  if (shown?.localName === 'keylodge-account') showAccount();
  else if (shown?.dataset.view in addressOf) showSignIn();
  else open();
});

// A recovery link that is opened in this tab changes only the fragment, so the page is not loaded again.
addEventListener('hashchange', () => {
  const grant = takeGrantToken();
  if (grant) openRecoveryLink(grant);
});

// The browser may restore the page from its back/forward cache. The cached page must not show the account's data.
addEventListener('pagehide', () => {
  shown = null;
  main.replaceChildren();
});
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) open();
});

defineSignIn();
defineStepUp();
start();
client.config().then(({ rp_name: name }) => {
  document.getElementById('place').textContent = name;
}, () => {}); // the element reports it
