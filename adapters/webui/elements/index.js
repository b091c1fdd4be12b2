// The custom elements of Keylodge. Importing this module defines them.

import { defineAccount } from './account/account.jsx';
import { defineSignIn } from './signin/signin.jsx';
import { defineStepUp } from './stepup/stepup.jsx';

defineSignIn();
defineAccount();
defineStepUp();
