import { createKeylodge } from 'http://localhost:8080/kit/keylodge.js';

const find = (id) => document.getElementById(id);
const say = (text) => { find('message').textContent = text; };
const keylodge = createKeylodge({
  origin: 'http://localhost:8080',
  beforeStepUp: () => say('This needs your passkey once more.'),
});

function show(user) {
  find('signed-out').hidden = user !== null;
  find('signed-in').hidden = user === null;
  find('profile').elements.display_name.value = user?.display_name ?? '';
  find('codes').textContent = '';
}

function on(type, id, action) {
  find(id).addEventListener(type, (event) => {
    event.preventDefault();
    action(event.target).catch((error) => say(error.message ?? error.detail));
  });
}

// ——— The session: after a reload, and when it begins or ends, also in another tab ———

keylodge.onSession(({ type, user, error }) => {
  show(type === 'ended' ? null : user);
  say(type === 'ended' ? `Signed out: ${error?.code ?? 'by you'}` : `Signed in as ${user.display_name}`);
});

const current = await keylodge.session(); // {user, session}, or null
if (!current) show(null);

on('submit', 'sign-up', (form) => keylodge.signUp(Object.fromEntries(new FormData(form))));
on('click', 'sign-in', () => keylodge.signIn());
on('click', 'sign-out', () => keylodge.signOut());

// ——— Changes: the kit adds the CSRF token, and steps up if the server asks for it ———

on('submit', 'profile', async (form) => {
  const user = await keylodge.account.change({ display_name: form.elements.display_name.value });
  say(`Saved: ${user.display_name}`);
});

on('click', 'make-codes', async () => {
  const response = await keylodge.fetch('/v1/me/recovery/backup-codes', { method: 'POST' });
  const answer = await response.json();
  if (!response.ok) throw answer;
  find('codes').textContent = answer.codes.join('\n');
  say('These codes are shown once. Store them.');
});
