// The WebAuthn Signal API (Level 3, section 5.1.10): reports the server's state to the password manager, so that it does
// not offer removed passkeys and shows the current name. Errors, and browsers without the API, are ignored.

/**
 * Reports the account's passkeys and names, from the `signals` of an answer.
 * @param {any} signals
 */
export async function signalAccepted(signals) {
  if (!signals) return;
  const { rp_id: rpId, user_id: userId } = signals;
  await Promise.all([
    signal('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: signals.accepted_credential_ids }),
    signal('signalCurrentUserDetails', { rpId, userId, name: signals.name, displayName: signals.display_name ?? '' }),
  ]);
}

/**
 * Reports that the account and all its passkeys were deleted; `signals` comes from an earlier answer.
 * @param {any} signals
 */
export const signalDeleted = ({ rp_id: rpId, user_id: userId }) => signal('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: [] });

/**
 * Reports that the server does not know the passkey.
 * @param {string} rpId
 * @param {string} credentialId
 */
export const signalUnknown = (rpId, credentialId) => signal('signalUnknownCredential', { rpId, credentialId });

/**
 * @param {string} method
 * @param {object} details
 */
async function signal(method, details) {
  try {
    await /** @type {any} */ (PublicKeyCredential)[method]?.(details);
  } catch {
    // The page does not depend on the result.
  }
}
