// Calls that change something under the session cookie. They send the session's CSRF token, which also binds them to the
// session that the page shows: if another session has replaced it in another window, the call changes nothing.

import { call, get } from './api.js';

/** Another session has replaced the one that the page shows. */
export class SessionChanged extends Error {
  constructor() {
    super('Another session has replaced the one that the page shows.');
    this.name = 'SessionChanged';
    this.code = 'session_changed';
  }
}

let current = { id: null, token: null };

/** Sets the session that the page shows, and its CSRF token if an answer had one. */
export function setSession(id, token = null) {
  current = { id, token };
}

export const post = (path, body) => change('POST', path, body);
export const patch = (path, body) => change('PATCH', path, body);
export const del = (path) => change('DELETE', path);

async function change(method, path, body) {
  const session = current;
  const send = () => call(method, path, body, { 'X-CSRF-Token': session.token });
  session.token ??= await freshToken(session.id);
  try {
    return await send();
  } catch (error) {
    if (error.code !== 'csrf_rejected') throw error;
    session.token = await freshToken(session.id);
    return send();
  }
}

// The token is read before the session: if the session is unchanged after that, the token belongs to it.
async function freshToken(id) {
  const { csrf_token: token } = await get('/csrf');
  const { session } = await get('/session');
  if (session.id !== id) throw new SessionChanged();
  return token;
}
