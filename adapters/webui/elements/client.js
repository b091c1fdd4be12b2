// The client of the kit that the elements of a page share: one for each server.

import { createKeylodge } from '../kit/keylodge.js';

const clients = new Map();

// Asks the user before the browser's prompt of a step-up; null if the page has no <keylodge-step-up>.
let ask = null;

/** Returns the client of the server at an origin. */
export function clientOf(origin) {
  if (!clients.has(origin)) clients.set(origin, createKeylodge({ origin, beforeStepUp: (error) => ask?.(error) }));
  return clients.get(origin);
}

/** Registers a function whose promise is rejected if the user cancels. Returns a function that unregisters it. */
export function onStepUp(asking) {
  ask = asking;
  return () => { ask = null; };
}
