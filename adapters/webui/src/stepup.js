// Step-up: a fresh passkey assertion, required by sensitive changes to the account.

import { askForPasskey, requireSupport } from './passkeys.js';
import { post } from './session.js';

/** Asks the user to confirm with a passkey. If that fails, the session stays unchanged. */
export async function stepUp() {
  requireSupport();
  const ceremony = await post('/session/step-up/options');
  const credential = await askForPasskey(ceremony);
  await post('/session/step-up/verify', { challenge_id: ceremony.challenge_id, credential });
}

/** Makes a call; if it needs a step-up, steps up and makes the call once more. explain is called before the browser asks. */
export async function withStepUp(call, explain) {
  try {
    return await call();
  } catch (error) {
    if (error.code !== 'step_up_required') throw error;
    explain(error);
  }
  await stepUp();
  return call();
}
