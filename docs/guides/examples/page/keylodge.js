import { createKeylodge } from 'http://localhost:8080/kit/keylodge.js';

export const keylodge = createKeylodge({ origin: 'http://localhost:8080' });
