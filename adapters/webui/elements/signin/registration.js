/** Returns the code of the error that a sign-up would get, before anything is filled in; null if there is none. */
export function signUpObstacle({ registration }, invite) {
  if (registration === 'closed') return 'registration_closed';
  return registration === 'invite' && !invite ? 'invite_required' : null;
}
