// The ceremonies. Each asks the server for options, the browser for an answer, and the server for its verdict.

import { post } from './api.js';
import { createPasskey, getPasskey } from './passkeyjson.js';
import * as session from './session.js';
import { tellAccepted, tellUnknown } from './signals.js';

/** Why passkeys cannot work on this page, as a code that words.js knows; null if they can. */
export function obstacle() {
  if (!window.isSecureContext) return 'insecure_context';
  return window.PublicKeyCredential && navigator.credentials ? null : 'webauthn_missing';
}

/** Throws what obstacle returns. */
export function mustWork() {
  const code = obstacle();
  if (code) throw Object.assign(new Error(code), { code });
}

/** Makes an account and its first passkey. Returns the session answer. */
export async function signUp({ email, displayName }) {
  mustWork();
  const ceremony = await post('/signup/options', given({ email, display_name: displayName }));
  return makePasskey(ceremony, (answer) => post('/signup/verify', answer));
}

/** Makes a further passkey for whoever is signed in. Returns {passkey, signals}. */
export async function addPasskey({ name }) {
  mustWork();
  const ceremony = await session.post('/me/passkeys/options');
  return makePasskey(ceremony, (answer) => session.post('/me/passkeys/verify', { ...answer, ...given({ passkey_name: name }) }));
}

/** Makes the one passkey that a recovery's grant is good for. Returns the session answer. */
export async function enrolWithGrant(token) {
  mustWork();
  const grant = { grant_token: token };
  const ceremony = await post('/recovery/options', grant);
  return makePasskey(ceremony, (answer) => post('/recovery/verify', { ...answer, ...grant }));
}

async function makePasskey(ceremony, verify) {
  const credential = await createPasskey(ceremony.options);
  try {
    return await finish(ceremony, credential, verify);
  } catch (error) {
    // The device has the passkey by now, and no account goes with it.
    const refused = error.status >= 400 && error.status < 500 && error.code !== 'passkey_already_registered';
    if (refused) await tellUnknown(ceremony.options.rp.id, credential.id);
    throw error;
  }
}

/** Signs in by button: with one of the address's passkeys, or without an address with any that the person picks. */
export async function signIn({ email }) {
  mustWork();
  const ceremony = await signInOptions({ email });
  return finishSignIn(ceremony, await askForPasskey(ceremony));
}

/** The first call of signing in. */
export const signInOptions = ({ email } = {}) => post('/login/options', given({ email }));

/** Lets the browser ask for a passkey, and returns it as JSON; `how` may hold `mediation` and `signal`. */
export const askForPasskey = (ceremony, how) => getPasskey(ceremony.options, how);

/** The last call of signing in. Returns the session answer. */
export async function finishSignIn(ceremony, credential) {
  try {
    return await finish(ceremony, credential, (answer) => post('/login/verify', answer));
  } catch (error) {
    if (error.code === 'passkey_unknown') await tellUnknown(ceremony.options.rpId, credential.id);
    throw error;
  }
}

async function finish(ceremony, credential, verify) {
  const verdict = await verify({ challenge_id: ceremony.challenge_id, credential });
  tellAccepted(verdict.signals);
  return verdict;
}

const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value));
