// The WebAuthn Signal API (Level 3, section 5.1.10): tells the password manager what the server knows, so that it stops
// offering passkeys that are gone and shows the present name. A courtesy: where it is missing or fails, nothing is lost.

/** Passes on the `signals` of an answer. */
export async function tellAccepted(signals) {
  if (!signals) return;
  const { rp_id: rpId, user_id: userId } = signals;
  await Promise.all([
    signal('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: signals.accepted_credential_ids }),
    signal('signalCurrentUserDetails', { rpId, userId, name: signals.name, displayName: signals.display_name ?? '' }),
  ]);
}

/** Says that the account is gone, and every passkey with it; `signals` is from one of its last answers. */
export const tellGone = ({ rp_id: rpId, user_id: userId }) => signal('signalAllAcceptedCredentials', { rpId, userId, allAcceptedCredentialIds: [] });

/** Says that the server has no such passkey. */
export const tellUnknown = (rpId, credentialId) => signal('signalUnknownCredential', { rpId, credentialId });

async function signal(method, details) {
  try {
    await PublicKeyCredential[method]?.(details);
  } catch {
    // Nobody is waiting for it.
  }
}
