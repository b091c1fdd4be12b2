// The WebAuthn ceremonies. Each gets options from the server, a credential from the browser, and the server's result.

import { post } from './api.js';
import { createPasskey, getPasskey } from './passkeyjson.js';
import * as session from './session.js';
import { signalAccepted, signalUnknown } from './signals.js';

/** Returns why passkeys cannot work on this page, as a code of errortexts.js; null if they can. */
export function unsupportedReason() {
  if (!window.isSecureContext) return 'insecure_context';
  return window.PublicKeyCredential && navigator.credentials ? null : 'webauthn_missing';
}

/** Throws an error with the code that unsupportedReason returns, if it returns one. */
export function requireSupport() {
  const code = unsupportedReason();
  if (code) throw Object.assign(new Error(code), { code });
}

/** Creates an account and its first passkey. Returns the session answer. */
export async function signUp({ email, displayName }) {
  requireSupport();
  const ceremony = await post('/signup/options', withoutEmpty({ email, display_name: displayName }));
  return registerPasskey(ceremony, (answer) => post('/signup/verify', answer));
}

/** Adds a passkey to the signed-in account. Returns {passkey, signals}. */
export async function addPasskey({ name }) {
  requireSupport();
  const ceremony = await session.post('/me/passkeys/options');
  return registerPasskey(ceremony, (answer) => session.post('/me/passkeys/verify', { ...answer, ...withoutEmpty({ passkey_name: name }) }));
}

/** Creates the passkey that a recovery grant authorises. Returns the session answer. */
export async function enrolWithGrant(token) {
  requireSupport();
  const grant = { grant_token: token };
  const ceremony = await post('/recovery/options', grant);
  return registerPasskey(ceremony, (answer) => post('/recovery/verify', { ...answer, ...grant }));
}

async function registerPasskey(ceremony, verify) {
  const credential = await createPasskey(ceremony.options);
  try {
    return await finish(ceremony, credential, verify);
  } catch (error) {
    // The device has stored the passkey, but no account has it.
    const rejected = error.status >= 400 && error.status < 500 && error.code !== 'passkey_already_registered';
    if (rejected) await signalUnknown(ceremony.options.rp.id, credential.id);
    throw error;
  }
}

/** Signs in with a passkey of the account that has the e-mail address; without an address, with any passkey that the user picks. */
export async function signIn({ email }) {
  requireSupport();
  const ceremony = await signInOptions({ email });
  return finishSignIn(ceremony, await askForPasskey(ceremony));
}

/** Begins a sign-in. Returns the ceremony: {challenge_id, options, expires_at}. */
export const signInOptions = ({ email } = {}) => post('/login/options', withoutEmpty({ email }));

/** Asks the browser for a passkey and returns the credential as JSON; `more` may have `mediation` and `signal`. */
export const askForPasskey = (ceremony, more) => getPasskey(ceremony.options, more);

/** Finishes a sign-in. Returns the session answer. */
export async function finishSignIn(ceremony, credential) {
  try {
    return await finish(ceremony, credential, (answer) => post('/login/verify', answer));
  } catch (error) {
    if (error.code === 'passkey_unknown') await signalUnknown(ceremony.options.rpId, credential.id);
    throw error;
  }
}

async function finish(ceremony, credential, verify) {
  const result = await verify({ challenge_id: ceremony.challenge_id, credential });
  signalAccepted(result.signals);
  return result;
}

const withoutEmpty = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value));
