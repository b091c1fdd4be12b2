// Step-up: a fresh proof that the person is still there, for what changes who can open the account.

import { askForPasskey, mustWork } from './passkeys.js';
import { post } from './session.js';

/** Asks the person to confirm with a passkey. Until they have, the session stays as it is. */
export async function stepUp() {
  mustWork();
  const ceremony = await post('/session/step-up/options');
  const credential = await askForPasskey(ceremony);
  await post('/session/step-up/verify', { challenge_id: ceremony.challenge_id, credential });
}

/** Makes a call that may need a step-up, and makes it once more after one. explain is called before the browser asks. */
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
