import { createKeylodge } from 'http://localhost:8080/kit/keylodge.js';

const server = 'http://localhost:8080';
const home = location.origin + '/';
const keylodge = createKeylodge({ origin: server, transport: 'bearer' }); // with the tokens in memory

const find = (id) => document.getElementById(id);
const say = (text) => { find('message').textContent = text; };
const on = (id, action) => find(id).addEventListener('click', () => action().catch((error) => say(error.message)));

function show(user) {
  find('signed-out').hidden = user !== null;
  find('signed-in').hidden = user === null;
  say(user ? `Signed in as ${user.display_name}` : 'Signed out');
}

// ——— To the server's page, and back with a code (PKCE, RFC 7636) ———

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function leaveTo(path) {
  const [verifier, state] = [random(), random()];
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  sessionStorage.request = JSON.stringify({ verifier, state });
  location.assign(server + path + '?' + new URLSearchParams({ return_to: home, code_challenge: base64url(new Uint8Array(digest)), state }));
}

async function redeem(query) {
  const { verifier, state } = JSON.parse(sessionStorage.request ?? '{}');
  delete sessionStorage.request;
  history.replaceState(null, '', home); // the code is not kept in the history
  if (query.get('state') !== state) throw new Error('this code was not requested here');
  const answer = await keylodge.call('POST', '/session/redeem', { code: query.get('code'), code_verifier: verifier, return_to: home });
  await keylodge.use(answer);
  sessionStorage.signedIn = 'yes';
  return answer.user;
}

on('sign-in', () => leaveTo('/login'));
on('sign-up', () => leaveTo('/signup'));
on('sign-out', async () => {
  await keylodge.signOut();
  delete sessionStorage.signedIn;
  location.assign(server + '/logout?' + new URLSearchParams({ return_to: home }));
});

// ——— Calls: of the app's own server, and of Keylodge. The kit refreshes the tokens ———

on('orders', async () => {
  const token = await keylodge.accessToken();
  const response = await fetch('/orders', { headers: { Authorization: `Bearer ${token}` } });
  if (!response.ok) return say(await response.text());
  const { user, orders } = await response.json();
  say(`User ${user} has ${orders.length} orders.`);
});
on('account', async () => say(JSON.stringify(await keylodge.account.get())));

// ——— The start. A reload loses the tokens: the server's page returns at once while its session lasts ———

const query = new URLSearchParams(location.search);
if (query.has('code')) redeem(query).then(show, (error) => { show(null); say(error.message); });
else if (sessionStorage.signedIn) leaveTo('/login');
else show(null);
