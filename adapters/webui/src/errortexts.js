// The texts of errors: what went wrong, and what to do next.

const texts = {
  // Errors of the browser's prompt
  timed_out: 'That took too long, so nothing was changed. Try again.',
  cancelled: 'Nothing was changed: the request was cancelled, or found no passkey. Try again.',
  already_registered: 'This device already has a passkey for this account. Use that passkey.',
  not_supported: 'This device does not support the kind of passkey that is required. Use another device, or a security key.',
  verification_unavailable: 'This device cannot verify that it is you. Set up a screen lock, or use another device.',
  unreadable: 'The passkey could not be read. Unlock your device or password manager and try again.',
  webauthn_missing: 'This browser is too old for passkeys. Update it, or use another browser.',
  insecure_context: 'Passkeys need a secure connection. Open this page at an address that starts with https://.',

  // No answer from the server
  unreachable: 'The server cannot be reached. Check your connection and try again.',
  unavailable: 'The server is temporarily unavailable. Try again in a moment.',

  // Problem codes of the server
  step_up_required: 'Confirm that it is you: your browser now asks for one of your passkeys.',
  last_passkey: 'This is the only active passkey of your account. Add another passkey, then remove this one.',
  passkey_limit_reached: 'Your account has the maximum number of passkeys. Remove one that you no longer need, then add this one.',
  not_found: 'This item no longer exists. The list has been refreshed.',
  csrf_rejected: 'The server could not verify that this request came from you. Reload the page and try again.',
  session_changed: 'Another session has started in this browser, so nothing was changed. Check which account is shown, then try again.',
  user_disabled: 'This account is disabled. Contact support.',
  session_expired: 'Your session has expired. Sign in again.',
  session_revoked: 'Your session was ended, here or from another device. Sign in again.',
  registration_closed: 'Registration is closed. Contact support if you need an account.',
  passkey_suspended: 'This passkey is suspended because it may have been cloned. Sign in with another passkey.',
  passkey_unknown: 'This passkey is not registered here. Choose another passkey, or create a new account.',
  passkey_rejected: 'This passkey’s response was rejected. Try again.',
  passkey_already_registered: 'This passkey is already registered. Sign in with it.',
  user_verification_required: 'Your device did not verify that it is you. Unlock it with your fingerprint, face or PIN and try again.',
  challenge_expired: 'This attempt took too long. Try again.',
  challenge_not_found: 'This attempt has expired or was already used. Try again.',
  invalid_code: 'The code is wrong, already used, or locked after too many wrong codes. Check it, use a backup code, or try again later.',
  email_taken: 'This e-mail address already has an account. Sign in with it, or enter another address.',
  body_too_large: 'Your input is too long. Shorten it and try again.',
};

// The texts in the form for a code that was sent by e-mail.
const emailCodeTexts = {
  invalid_code: 'The code is wrong or has expired. Use the code in the latest e-mail, or send another code.',
  email_taken: 'This e-mail address is now used by another account. Sign in there if it is yours, or enter another address here.',
};

// Expected outcomes, such as a cancelled prompt or an expired session. They are shown without an alert.
const informative = new Set([
  'cancelled', 'timed_out', 'session_expired', 'session_revoked', 'challenge_expired', 'step_up_required', 'last_passkey', 'not_found',
]);

/**
 * Returns what to show for an error: {code, text, info, field?, link?}. info is false for an alert; field is the member of
 * the request to correct; link is an address to open. Returns null if there is nothing to show. rpId is the domain that this
 * server's passkeys are bound to; about is the subject of the user's form: 'email', 'email-code', or undefined.
 */
export function errorText(error, rpId, about) {
  const code = typeof error.code === 'string' ? error.code : error.name;
  const result = (text, more) => ({ code, text, info: informative.has(code), ...more });
  if (about === 'email-code' && emailCodeTexts[code]) return result(emailCodeTexts[code], { field: 'code' });
  switch (code) {
    case 'aborted':
      return null;
    case 'wrong_domain':
    case 'cross_origin_rejected':
      return result(...wrongAddress(rpId));
    case 'invalid_request':
      if (error.fields.length > 0) return result(error.fields.map(({ detail }) => sentence(detail)).join(' '), { field: error.fields[0].field });
      break;
    case 'email_taken':
      return result(texts[code], { field: 'email' });
    case 'invalid_code':
      return result(texts[code], { field: 'code' });
    case 'passkey_rejected':
      if (error.detail) return result(sentence(error.detail));
      break;
    case 'rate_limited':
      if (about) return result(`Too many codes were sent to this address. Use the code in the latest e-mail, or try again ${retryTime(error)}.`, { field: 'email' });
      return result(`Too many attempts. Try again ${retryTime(error)}.`);
    case 'unavailable':
      if (error.retryAfter > 0) return result(`The server is temporarily unavailable. Try again ${retryTime(error)}.`);
  }
  if (texts[code]) return result(texts[code]);
  const reference = error.requestId ? ` If the problem persists, contact support with this reference: ${error.requestId}` : '';
  return result(`${sentence(error.message || code)} Try again.${reference}`);
}

function wrongAddress(rpId) {
  const { protocol, hostname, port } = location;
  if (!rpId || hostname === rpId || hostname.endsWith('.' + rpId)) {
    return ['This page is not at the address that the server is configured for. Ask the operator to check the server’s public URL.'];
  }
  const href = `${protocol}//${rpId}${port && ':' + port}/`;
  return [`You are at ${hostname}, but this server’s passkeys work only at ${rpId}. Go to `, { link: href }];
}

const retryTime = ({ retryAfter }) => (retryAfter > 0 ? `in ${duration(retryAfter)}` : 'later');

function duration(seconds) {
  if (seconds < 90) return seconds === 1 ? 'a second' : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

function sentence(text) {
  const capitalized = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capitalized) ? capitalized : capitalized + '.';
}
