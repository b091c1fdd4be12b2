// What only a signed-in user sees: the page loads it after the sign-in.

import { ConfirmEmail } from './signin/confirmemail.jsx';
import { LocalPasskey } from './signin/localpasskey.jsx';
import { WayBack } from './signin/wayback.jsx';

export { defineAccount } from './account/account.jsx';
export { offersLocalPasskey } from './signin/localpasskey.jsx';

/** The views of <keylodge-sign-in> that follow a sign-up or a sign-in. */
export const steps = { 'confirm-email': ConfirmEmail, 'way-back': WayBack, 'local-passkey': LocalPasskey };
