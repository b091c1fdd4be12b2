// The operator's way back in for somebody who has nothing left: a link whose fragment holds the token of a grant.

const prefix = '#recover=';

/** Takes the token out of the address; '' if there is none. Neither the address bar nor the history keeps it. */
export function takeGrantToken() {
  if (!location.hash.startsWith(prefix)) return '';
  const token = location.hash.slice(prefix.length);
  history.replaceState(null, '', location.pathname + location.search);
  try {
    return decodeURIComponent(token); // browsers encode what a copied link has beside ASCII
  } catch {
    return token;
  }
}
