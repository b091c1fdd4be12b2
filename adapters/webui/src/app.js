// Keylodge's own page: its elements at addresses of their own.

import { sections } from '../elements/account/sections.js';
import { clientOf } from '../elements/client.js';
import { bestLanguage, languageNames, loadMessages, translator } from '../elements/messages.js';
import { defineSignIn } from '../elements/signin/signin.jsx';
import { defineStepUp } from '../elements/stepup/stepup.jsx';
import { defineMissing } from './missing.jsx';
import { defineReturn } from './return.jsx';
import { applicationFor, applicationOf, forgetReturn, rememberedReturn, rememberReturn, returnRequest } from './returning.js';
import { takeSecret } from './secretlink.js';

const client = clientOf(location.origin);
const main = document.querySelector('main');

const addressOf = { 'sign-in': '/login', 'sign-up': '/signup', recover: '/recover' };
const pathname = () => location.pathname.replace(/(.)\/$/, '$1');
const viewAt = Object.fromEntries(Object.entries(addressOf).map(([view, address]) => [address, view]));

// ——— Language ———

const languageKey = 'keylodge-language';
const language = bestLanguage(localStorage.getItem(languageKey), ...navigator.languages, document.documentElement.dataset.language, 'en');
document.documentElement.lang = language;

const choice = document.getElementById('language');
choice.append(...Object.entries(languageNames).map(([tag, name]) => new Option(name, tag, false, tag === language.slice(0, 2))));
choice.addEventListener('change', () => {
  localStorage.setItem(languageKey, choice.value);
  location.reload();
});

// ——— What is shown ———

let shown = null; // the element in main
let invite = null; // the token of the invite whose link was opened, until a sign-in

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
  show('keylodge-sign-in', { view: viewAt[pathname()] ?? 'sign-in', notice, grant, invite });
}

// Where a signed-in user goes: back to an application, or to the account, which leads on to the application.
async function leaveSignIn() {
  invite = null;
  const application = await returningTo();
  if (application && !accountPath.test(pathname())) show('keylodge-return', {});
  else await showAccount();
}

async function returningTo() {
  const request = returnRequest();
  if (!request) return null;
  const application = applicationFor(request, await client.config());
  if (application) rememberReturn();
  else forgetReturn();
  return application;
}

async function showAccount() {
  const { defineAccount } = await import('../elements/signedin.js');
  defineAccount();
  document.documentElement.dataset.session = 'signed-in';
  if (!accountPath.test(pathname())) history.replaceState(null, '', '/account');
  const [, section] = pathname().match(accountPath);
  show('keylodge-account', { section });
  await offerReturn();
}

// Shows a link to the application that the user came from. It leads to the sign-in, which returns at once.
async function offerReturn() {
  const query = rememberedReturn();
  const [config, { texts }] = await Promise.all([client.config(), loadMessages(language)]);
  const request = returnRequest(query);
  const application = request && applicationFor(request, config);
  const link = document.getElementById('continue');
  link.hidden = !application;
  if (application) Object.assign(link, { href: addressOf['sign-in'] + query, textContent: translator(texts, language)('return.continue', application) });
}

// Shows what belongs to the session and the address. If the server does not tell whether there is a session, the account offers to try again.
async function open() {
  let reason = null;
  const end = client.onSession(({ type, error }) => {
    if (type === 'ended') reason = error?.code;
  });
  const session = await client.session().catch(() => undefined);
  end();
  if (pathname() === '/logout' && session !== undefined) await leave(session);
  else if (session) await leaveSignIn();
  else if (session === null) showSignIn({ notice: reason ?? (await unknownReturn()) });
  else await showAccount();
}

// Why the page will not return to an application, although its address asks for it.
async function unknownReturn() {
  return returnRequest() && !(await returningTo().catch(() => true)) ? 'return_not_allowed' : null;
}

// Signs out for an application, which links here.
async function leave(session) {
  if (session) await client.signOut();
  const request = returnRequest();
  if (request && applicationOf(request.address, (await client.config()).applications)) return location.replace(request.address);
  history.replaceState(null, '', addressOf['sign-in']);
  showSignIn({ notice: 'signed_out' });
}

// Takes the answer that the document has requested: a later request for the session would get it, when it is outdated.
const takePreloadedSession = () => client.call('GET', '/session/state').catch(() => {});

// Shows what belongs to a link with a secret, and reports whether the page was opened by one.
function openSecretLink() {
  const { grant, invite: token } = takeSecret();
  if (!grant && !token) return false;
  client.use(null); // the account of the link is another one than that of the session
  invite = token ?? invite;
  showSignIn({ grant });
  return true;
}

const accountPath = /^\/account(?:\/(.+))?$/;

// Whether the path is one of those that the server has for the page.
function exists() {
  const [account, section] = pathname().match(accountPath) ?? [];
  if (account) return !section || sections.includes(section);
  return pathname() in viewAt || ['/', '/logout'].includes(pathname());
}

function start() {
  if (openSecretLink()) takePreloadedSession();
  else if (exists()) open();
  else show('keylodge-missing', {});
}

async function showFooter() {
  const [{ brand: { links } }, { direction, texts }] = await Promise.all([client.config(), loadMessages(language)]);
  document.documentElement.dir = direction;
  const t = translator(texts, language);
  document.getElementById('links').append(...Object.entries(links).filter(([, address]) => address).map(([name, address]) => {
    const item = document.createElement('li');
    item.append(Object.assign(document.createElement('a'), { href: address, textContent: t(`footer.${name}`) }));
    return item;
  }));
  const securedBy = document.getElementById('secured-by');
  if (securedBy) Object.assign(securedBy, { textContent: t('footer.secured_by'), hidden: false });
}

// ——— Events of the elements ———

addEventListener('keylodge-signed-in', leaveSignIn);
addEventListener('keylodge-account', showAccount);
addEventListener('keylodge-returned', ({ detail: { address } }) => location.replace(address));

addEventListener('keylodge-signed-out', ({ detail: { error, deleted } }) => {
  if (!error) forgetReturn();
  history.replaceState(null, '', addressOf['sign-in']);
  showSignIn({ notice: error?.code ?? (deleted ? 'deleted' : 'signed_out') });
});

addEventListener('keylodge-view', ({ detail: { view } }) => {
  history.pushState(null, '', addressOf[view] + location.search);
  showSignIn();
  if (view === 'sign-in') client.session().catch(() => {}); // a user who opened a recovery link may be signed in
});

addEventListener('keylodge-section', ({ detail: { section } }) => history.pushState(null, '', `/account/${section}`));

const { title: place } = document;
addEventListener('keylodge-heading', ({ detail: { text } }) => {
  document.title = `${text} · ${place}`;
});

// ——— Events of the browser ———

addEventListener('popstate', () => {
  if (shown?.localName === 'keylodge-account') showAccount();
  else if (shown?.dataset.view in addressOf) showSignIn();
  else open();
});

// A link that is opened in this tab may change only the fragment, so that the page is not loaded again.
addEventListener('hashchange', openSecretLink);

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
defineReturn();
defineMissing();
start();
showFooter().catch(() => {}); // the element reports what the server does not answer
