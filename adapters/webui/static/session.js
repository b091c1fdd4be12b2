// Calls that change something under the session's cookie. They carry the session's CSRF token, which also holds them to
// the person on show: if somebody else has signed in since, in another window, nothing is done in their name.

import { call, get } from './api.js';

/** Another session has taken the place of the one on show. */
export class SessionChanged extends Error {
  constructor() {
    super('Another session has taken the place of the one on show.');
    this.name = 'SessionChanged';
    this.code = 'session_changed';
  }
}

let held = { id: null, token: null };

/** Names the session on show, and its token if an answer brought one. */
export function hold(id, token = null) {
  held = { id, token };
}

export const post = (path, body) => change('POST', path, body);
export const patch = (path, body) => change('PATCH', path, body);
export const del = (path) => change('DELETE', path);

async function change(method, path, body) {
  const session = held;
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

// The token is asked for first: if the session is still the same one after that, the token is this session's.
async function freshToken(id) {
  const { csrf_token: token } = await get('/csrf');
  const { session } = await get('/session');
  if (session.id !== id) throw new SessionChanged();
  return token;
}
