// What went wrong, in plain words, and what to do next.

const sentences = {
  // The browser's own (DOMException names)
  NotAllowedError: 'Nothing was changed: it was cancelled, it took too long, or there was no passkey to use. Try again whenever you like.',
  InvalidStateError: 'This device already has a passkey for this account. Use that one.',
  NotSupportedError: 'This device cannot make or use the kind of passkey that is needed here. Try another device, or a security key.',
  ConstraintError: 'This device cannot check that it is you. Set up a screen lock, or use another device.',
  NotReadableError: 'The passkey could not be read. Unlock your device or password manager and try again.',
  webauthn_missing: 'This browser is too old for passkeys. Update it, or open this page in another one.',
  insecure_context: 'Passkeys work over a secure connection only. Open this page at an address that starts with https://.',

  // The way to the server
  unreachable: 'The server cannot be reached. Check your connection and try again.',
  unavailable: 'The server cannot do this right now. Try again in a moment.',

  // What the server said (problem codes)
  step_up_required: 'To be sure that it is you, your browser now asks for one of your passkeys.',
  last_passkey: 'This is the only passkey that opens your account. Add another one, then this one can go.',
  passkey_limit_reached: 'Your account has as many passkeys as it can hold. Remove one that you no longer need, then add this one.',
  not_found: 'That was gone already. What you see now is how things are.',
  csrf_rejected: 'The server could not be sure that this came from you. Reload the page and try again.',
  session_changed: 'Somebody else has signed in here in the meantime, so nothing was changed.',
  user_disabled: 'This account has been shut. Ask whoever runs this service.',
  session_expired: 'You were signed out because it has been a while. Sign in again to go on.',
  session_revoked: 'This sign-in was ended, here or from another device. Sign in again to go on.',
  registration_closed: 'New accounts are not taken here at the moment. Ask whoever runs this service.',
  passkey_suspended: 'This passkey has been suspended for your safety. Sign in with another one.',
  passkey_unknown: 'This passkey is not known here any more. Choose another one, or create a new account.',
  passkey_rejected: 'This passkey’s answer could not be accepted. Try again.',
  passkey_already_registered: 'This passkey belongs to an account already. Sign in with it.',
  user_verification_required: 'Your device did not check that it is you. Unlock it with your fingerprint, face or PIN and try again.',
  challenge_expired: 'That took a little too long. Try again.',
  challenge_not_found: 'That attempt is no longer open. Try again.',
  invalid_code: 'That does not match, was used before, or is locked after too many wrong codes. Check it, use a backup code, or try again later.',
  email_taken: 'This e-mail address has an account already. Sign in with it, or give another one.',
  body_too_large: 'That is more than the server takes. Shorten what you entered.',
};

// What they say of a code that was sent to an e-mail address.
const ofEmailCodes = {
  invalid_code: 'This code is not right or too old. Look for the latest letter, or send another code.',
  email_taken: 'Another account was quicker and has this address now. Sign in there if it is yours, or give another address here.',
};

// Somebody changed their mind, or time went by: no reason for alarm.
const calm = new Set([
  'NotAllowedError', 'session_expired', 'session_revoked', 'challenge_expired', 'step_up_required', 'last_passkey', 'not_found',
]);

/**
 * Returns what to tell the person: {code, text, calm, field?, link?}. field is the request's member to correct; link is
 * an address to go to. Returns null if there is nothing to tell. rpId is the domain that this server's passkeys belong to;
 * about is what the person's form is about: 'email', 'email-code', or nothing in particular.
 */
export function wordsFor(error, rpId, about) {
  const code = error.code && typeof error.code === 'string' ? error.code : error.name;
  const say = (text, more) => ({ code, text, calm: calm.has(code), ...more });
  if (about === 'email-code' && ofEmailCodes[code]) return say(ofEmailCodes[code], { field: 'code' });
  switch (code) {
    case 'AbortError':
      return null;
    case 'SecurityError':
    case 'cross_origin_rejected':
      return say(...wrongAddress(rpId));
    case 'invalid_request':
      if (error.fields.length > 0) return say(error.fields.map(({ detail }) => sentence(detail)).join(' '), { field: error.fields[0].field });
      break;
    case 'email_taken':
      return say(sentences[code], { field: 'email' });
    case 'invalid_code':
      return say(sentences[code], { field: 'code' });
    case 'passkey_rejected':
      if (error.detail) return say(sentence(error.detail));
      break;
    case 'rate_limited':
      if (about) return say(`So many codes went to this address that the next one has to wait. Look for the latest letter, or try again ${when(error)}.`, { field: 'email' });
      return say(`That was tried too often. Try again ${when(error)}.`);
    case 'unavailable':
      if (error.retryAfter > 0) return say(`The server cannot do this right now. Try again ${when(error)}.`);
  }
  if (sentences[code]) return say(sentences[code]);
  const reference = error.requestId ? ` If it keeps happening, quote this reference: ${error.requestId}` : '';
  return say(`${sentence(error.message || code)} Try again.${reference}`);
}

function wrongAddress(rpId) {
  const { protocol, hostname, port } = location;
  if (!rpId || hostname === rpId || hostname.endsWith('.' + rpId)) {
    return ['This page is not at the address that the server was set up for. Whoever runs it can check its public address.'];
  }
  const href = `${protocol}//${rpId}${port && ':' + port}/`;
  return [`You are at ${hostname}, but passkeys here belong to ${rpId}. Go to `, { link: href }];
}

const when = ({ retryAfter }) => (retryAfter > 0 ? `in ${duration(retryAfter)}` : 'later');

function duration(seconds) {
  if (seconds < 90) return seconds === 1 ? 'a second' : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : capital + '.';
}
