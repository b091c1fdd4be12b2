// The operator's recovery link for a user without recovery codes. Its fragment holds the token of a recovery grant.

const prefix = '#recover=';

/** Returns the token and removes it from the address bar and the history; '' if there is none. */
export function takeGrantToken() {
  if (!location.hash.startsWith(prefix)) return '';
  const token = location.hash.slice(prefix.length);
  history.replaceState(null, '', location.pathname + location.search);
  try {
    return decodeURIComponent(token); // browsers encode characters outside ASCII, which a copied link may contain
  } catch {
    return token;
  }
}
