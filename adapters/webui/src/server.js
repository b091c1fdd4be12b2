// The connection to the server: every call and every ceremony of the page is one of the kit.

import { createKeylodge } from '../kit/keylodge.js';
import { showError } from './message.js';

/** The kit, for the server of this page. A step-up is explained before the browser asks. */
export const keylodge = createKeylodge({ beforeStepUp: (error) => showError(error) });
