// The security log's kinds and reasons in plain words.

const titles = {
  signed_up: 'Account created',
  signed_in: 'Signed in',
  sign_in_refused: 'Sign-in refused',
  signed_out: 'Signed out',
  stepped_up: 'Confirmed that it is you',
  step_up_refused: 'Confirmation refused',
  session_revoked: 'Sign-in ended',
  refresh_token_reused: 'An app’s sign-in ended',
  passkey_added: 'Passkey added',
  passkey_add_refused: 'New passkey refused',
  passkey_renamed: 'Passkey renamed',
  passkey_removed: 'Passkey removed',
  passkey_flagged: 'Something odd about a passkey',
  passkey_suspended: 'Passkey suspended',
  account_changed: 'Account changed',
  totp_added: 'Authenticator app set up',
  totp_removed: 'Authenticator app removed',
  backup_codes_generated: 'Backup codes made',
  recovery_granted: 'Recovery allowed',
  recovery_refused: 'Recovery refused',
  recovery_locked: 'Recovery by code closed',
  recovered: 'Came back in by recovery',
  account_disabled: 'Account shut',
  account_enabled: 'Account opened again',
  account_deleted: 'Account deleted',
};

/** The kinds of events that are shown together, by the value of the choice on the page; '' shows all. */
export const groups = {
  changes: 'signed_up,passkey_added,passkey_renamed,passkey_removed,passkey_suspended,account_changed,totp_added,totp_removed,'
    + 'backup_codes_generated,recovery_granted,recovered,account_disabled,account_enabled',
  sign_ins: 'signed_up,signed_in,stepped_up,signed_out,session_revoked,refresh_token_reused,recovered',
  refused: 'sign_in_refused,step_up_refused,passkey_add_refused,passkey_flagged,passkey_suspended,recovery_refused,recovery_locked',
};

// How the name of the passkey follows.
const joints = { signed_in: ' with ', stepped_up: ', with ', sign_in_refused: ' with ', step_up_refused: ' with ', passkey_renamed: ': now ' };

const reasons = {
  // Why an answer was not accepted
  challenge_mismatch: 'The passkey answered another attempt.',
  origin_not_allowed: 'The passkey was used on another website.',
  cross_origin: 'The passkey was used inside another website’s page.',
  rp_id_mismatch: 'The passkey was used for another website.',
  type_mismatch: 'The passkey answered something else than what was asked.',
  user_presence_missing: 'Nobody touched the device.',
  user_verification_missing: 'The device did not check who it was.',
  backup_state_invalid: 'What the passkey said about being synced cannot be.',
  backup_eligibility_changed: 'Whether the passkey can be synced is not what it was when it was made.',
  algorithm_not_allowed: 'The passkey’s kind of key is not taken here.',
  attestation_rejected: 'The passkey’s model is not taken here.',
  signature_invalid: 'The passkey’s signature was wrong.',
  counter_regressed: 'The passkey’s counter did not go on, as if there were a copy of it.',
  user_handle_mismatch: 'The passkey belongs to another account.',
  malformed: 'What the device sent could not be read.',

  // What stood in the way
  invalid_code: 'The code was wrong, or had been used before.',
  passkey_suspended: 'The passkey was suspended.',
  user_disabled: 'The account was shut.',

  // What it followed from
  passkey_removed: 'The passkey that opened it was removed.',
  account_disabled: 'The account was shut.',
  session_limit: 'The account had too many sign-ins; the least recently used one ends.',
  signed_in: 'A new sign-in in the same browser took its place.',
  signed_up: 'A new account in the same browser took its place.',
  recovered: 'Somebody came back in by recovery, which ends every other sign-in.',
};

// What was changed, or what a recovery was allowed for.
const members = {
  display_name: 'name', email: 'e-mail address', pending_email: 'unconfirmed e-mail address',
  totp: 'a code of the authenticator app', backup_code: 'a backup code', operator: 'a link',
};

/** What happened, in a few words. */
export function titleFor({ kind, actor, passkey, changed }) {
  let title = titles[kind] ?? plain(kind);
  if (passkey?.name) title += `${joints[kind] ?? ': '}“${passkey.name}”`;
  if (changed.length > 0) title += `: ${changed.map((name) => members[name] ?? name).join(' and ')}`;
  if (actor === 'operator') title += ', by the operator';
  return title;
}

/** Why, as a sentence; '' if there is nothing to say. */
export function reasonFor({ kind, reason }) {
  if (kind === 'refresh_token_reused') return 'Its token was used twice, as if somebody had a copy of it.';
  if (kind === 'recovery_locked') return 'Too many wrong codes were tried. Signing in with a passkey opens it again.';
  if (!reason) return '';
  return reasons[reason] ?? `${plain(reason)}.`;
}

// A server that is newer than the page may have further ones.
function plain(code) {
  const words = code.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Whether the owner should have a look at it. */
export const concerning = ({ kind }) => /^recover|_refused$|_reused$|_flagged$|_suspended$|_disabled$/.test(kind);
