// The custom elements of Keylodge. Importing this module defines them.

import { Account } from './account/account.jsx';
import { define } from './element.jsx';
import { SignIn } from './signin/signin.jsx';
import { StepUp } from './stepup/stepup.jsx';

define('keylodge-sign-in', SignIn, ['view', 'grant', 'notice']);
define('keylodge-account', Account, ['section']);
define('keylodge-step-up', StepUp, []);
