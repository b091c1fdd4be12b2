// The texts of the audit log's events.

/** The event kinds of each option of the filter. */
export const groups = {
  changes: 'signed_up,invite_used,passkey_added,passkey_renamed,passkey_removed,passkey_suspended,account_changed,totp_added,totp_removed,'
    + 'backup_codes_generated,recovery_granted,recovered,account_created,account_disabled,account_enabled',
  sign_ins: 'signed_up,signed_in,stepped_up,signed_out,session_revoked,refresh_token_reused,application_signed_in,authorization_code_reused,recovered',
  refused: 'sign_in_refused,step_up_refused,passkey_add_refused,passkey_flagged,passkey_suspended,recovery_refused,recovery_locked',
};

/** Returns what happened, as a short title. */
export function titleFor({ kind, actor, passkey, changed }, t, has) {
  let title = has(`events.titles.${kind}`) ? t(`events.titles.${kind}`) : words(kind);
  if (passkey?.name) {
    const named = has(`events.titles_with_passkey.${kind}`) ? kind : 'other';
    title = t(`events.titles_with_passkey.${named}`, { title, passkey: t('format.quote', { text: passkey.name }) });
  }
  if (changed.length > 0) {
    const changes = changed.map((name) => (has(`events.changes.${name}`) ? t(`events.changes.${name}`) : name));
    title = t('events.title_with_changes', { title, changes: changes.join(', ') });
  }
  return actor === 'operator' ? t('events.title_by_operator', { title }) : title;
}

const selfExplaining = new Set(['recovery_locked', 'refresh_token_reused']);

/** Returns why it happened, as a sentence; '' if there is no reason to show. Some kinds of events explain themselves. */
export function reasonFor({ kind, reason }, t, has) {
  if (selfExplaining.has(kind)) return t(`events.reasons.${kind}`);
  if (!reason) return '';
  return has(`events.reasons.${reason}`) ? t(`events.reasons.${reason}`) : `${words(reason)}.`;
}

// A newer server may send codes that this page does not know.
function words(code) {
  const text = code.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Reports whether the user should check the event. */
export const concerning = ({ kind }) => /^recover|_refused$|_reused$|_flagged$|_suspended$|_disabled$/.test(kind);
