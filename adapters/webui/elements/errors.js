// The texts of errors: what went wrong, and what to do next.

// Expected outcomes, such as a cancelled prompt or an expired session. They are not shown as an alert.
const informative = new Set(['cancelled', 'timed_out', 'session_expired', 'session_revoked', 'challenge_expired', 'last_passkey', 'not_found']);

// The field of a form that an error is about, if it is not named by the error.
const fieldOf = (code, about) => ({
  email_taken: about === 'email_code' ? 'code' : 'email',
  invite_email_mismatch: 'email',
  invalid_code: 'code',
  rate_limited: about === 'email' ? 'email' : undefined,
})[code];

/**
 * Returns what to show for an error: {tone, code, text, field?, link?}, or null for an aborted ceremony. tone is 'alert' or 'info';
 * field is the member of the request to correct; link is an address to open. about is the subject of the form, such as 'sign_in'
 * or 'email_code'; a message `error.CODE.ABOUT` precedes `error.CODE`.
 */
export function errorText(error, { t, has, config, about }) {
  const code = error.code ?? 'internal';
  if (code === 'aborted') return null;
  const message = (key, parameters) => t(about && has(`${key}.${about}`) ? `${key}.${about}` : key, parameters);
  const help = { link: config.brand.links.support ?? undefined };
  const result = (text, more) => ({ tone: informative.has(code) ? 'info' : 'alert', code, text, field: fieldOf(code, about), ...more });
  if (code === 'invalid_request' && error.fields?.length > 0) {
    const [{ field, code: reason }] = error.fields;
    return result(has(`error.field.${reason}`) ? t(`error.field.${reason}`) : t('error.field'), { field });
  }
  if (code === 'insecure_context') return result(t('error.insecure_context'), { link: `https://${fits(config.rp_id) ? location.host : config.rp_id}/` });
  if (code === 'wrong_domain' || code === 'cross_origin_rejected') return result(...wrongDomain(t, config.rp_id));
  if ((code === 'rate_limited' || code === 'unavailable') && error.retryAfter > 0) {
    return result(message(`error.${code}.wait`, { wait: duration(t, error.retryAfter) }));
  }
  if (code !== 'internal' && has(`error.${code}`)) return result(message(`error.${code}`), code === 'user_disabled' ? help : {});
  return error.requestId ? result(t('error.internal_with_id', { id: error.requestId }), help) : result(t('error.unknown'));
}

/**
 * Reports whether passkeys cannot work at the page's address, whatever the server allows: an IP address or a name without a dot is of no
 * other relying party than its own. Domains can be related origins (WebAuthn Level 3, section 5.11).
 */
export const isMisplaced = (rpID) => !fits(rpID) && /^([^.]+|[\d.]+|\[.*\])$/.test(location.hostname);

// The relying party ID is a domain: passkeys work at it and below it.
const fits = (rpID) => location.hostname === rpID || location.hostname.endsWith(`.${rpID}`);

function wrongDomain(t, rpID) {
  const { protocol, hostname, port } = location;
  if (fits(rpID)) return [t('error.wrong_address')];
  return [t('error.wrong_domain', { host: hostname, domain: rpID }), { link: `${protocol}//${rpID}${port && `:${port}`}/` }];
}

function duration(t, seconds) {
  if (seconds < 90) return t('time.seconds', { count: seconds });
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? t('time.minutes', { count: minutes }) : t('time.hours', { count: Math.ceil(minutes / 60) });
}
