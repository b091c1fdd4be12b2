// The texts of the audit log's event kinds and reasons.

const titles = {
  signed_up: 'Account created',
  signed_in: 'Signed in',
  sign_in_refused: 'Sign-in rejected',
  signed_out: 'Signed out',
  stepped_up: 'Identity confirmed',
  step_up_refused: 'Identity confirmation rejected',
  session_revoked: 'Session ended',
  refresh_token_reused: 'App session ended',
  application_signed_in: 'Signed in to an application',
  authorization_code_reused: 'Application session ended',
  passkey_added: 'Passkey added',
  passkey_add_refused: 'New passkey rejected',
  passkey_renamed: 'Passkey renamed',
  passkey_removed: 'Passkey removed',
  passkey_flagged: 'Suspicious passkey use',
  passkey_suspended: 'Passkey suspended',
  account_changed: 'Account changed',
  totp_added: 'Authenticator app set up',
  totp_removed: 'Authenticator app removed',
  backup_codes_generated: 'Backup codes generated',
  recovery_granted: 'Recovery allowed',
  recovery_refused: 'Recovery rejected',
  recovery_locked: 'Recovery by code locked',
  recovered: 'Account recovered',
  account_disabled: 'Account disabled',
  account_enabled: 'Account enabled',
  account_deleted: 'Account deleted',
};

/** The event kinds of each option of the page's filter; the option '' shows all kinds. */
export const groups = {
  changes: 'signed_up,passkey_added,passkey_renamed,passkey_removed,passkey_suspended,account_changed,totp_added,totp_removed,'
    + 'backup_codes_generated,recovery_granted,recovered,account_disabled,account_enabled',
  sign_ins: 'signed_up,signed_in,stepped_up,signed_out,session_revoked,refresh_token_reused,application_signed_in,authorization_code_reused,recovered',
  refused: 'sign_in_refused,step_up_refused,passkey_add_refused,passkey_flagged,passkey_suspended,recovery_refused,recovery_locked',
};

// What stands between the title and the passkey's name; ': ' for the other kinds.
const separators = {
  signed_in: ' with ', stepped_up: ' with ', sign_in_refused: ' with ', step_up_refused: ' with ', passkey_renamed: ' to ',
};

const reasons = {
  // Why a passkey's response was rejected
  challenge_mismatch: 'The response was for another attempt.',
  origin_not_allowed: 'The passkey was used on another website.',
  cross_origin: 'The passkey was used on a page that another website embeds.',
  rp_id_mismatch: 'The passkey was used for another website.',
  type_mismatch: 'The response was for another kind of request.',
  user_presence_missing: 'The device did not confirm that a person was present.',
  user_verification_missing: 'The device did not verify the user.',
  backup_state_invalid: 'The passkey reported a sync state that is not possible.',
  backup_eligibility_changed: 'The passkey reported another sync capability than when it was created.',
  algorithm_not_allowed: 'The passkey’s signature algorithm is not accepted.',
  attestation_rejected: 'The passkey’s model is not accepted.',
  signature_invalid: 'The passkey’s signature was invalid.',
  counter_regressed: 'The passkey’s signature counter did not increase. The passkey may have been cloned.',
  user_handle_mismatch: 'The passkey belongs to another account.',
  malformed: 'The device’s response could not be read.',

  // Why the attempt failed
  invalid_code: 'The code was wrong or already used.',
  passkey_suspended: 'The passkey was suspended.',
  user_disabled: 'The account was disabled.',

  // Why a session ended
  passkey_removed: 'The passkey that opened this session was removed.',
  account_disabled: 'The account was disabled.',
  session_limit: 'The account had too many sessions. The least recently used session was ended.',
  signed_in: 'A new sign-in in the same browser replaced this session.',
  signed_up: 'A new account in the same browser replaced this session.',
  recovered: 'The account was recovered, which ends all other sessions.',
};

// What was changed, or the factor that allowed a recovery.
const members = {
  display_name: 'name', email: 'e-mail address', pending_email: 'unconfirmed e-mail address',
  locale: 'language', totp: 'authenticator app code', backup_code: 'backup code', operator: 'recovery link',
};

/** Returns what happened, as a short title. */
export function titleFor({ kind, actor, passkey, changed }) {
  let title = titles[kind] ?? textOf(kind);
  if (passkey?.name) title += `${separators[kind] ?? ': '}“${passkey.name}”`;
  if (changed.length > 0) title += `: ${changed.map((name) => members[name] ?? name).join(' and ')}`;
  if (actor === 'operator') title += ', by the operator';
  return title;
}

/** Returns why it happened, as a sentence; '' if there is no reason to show. */
export function reasonFor({ kind, reason }) {
  if (kind === 'refresh_token_reused') return 'Refresh token reused (possible theft).';
  if (kind === 'recovery_locked') return 'Too many wrong codes were entered. Sign in with a passkey to unlock recovery.';
  if (!reason) return '';
  return reasons[reason] ?? `${textOf(reason)}.`;
}

// A newer server may send codes that this page does not know.
function textOf(code) {
  const words = code.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Reports whether the user should check the event. */
export const concerning = ({ kind }) => /^recover|_refused$|_reused$|_flagged$|_suspended$|_disabled$/.test(kind);
