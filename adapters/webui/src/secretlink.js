// The operator's links with a secret in the fragment: the token of a recovery grant, or of an invite.

const prefixes = { grant: '#recover=', invite: '#invite=' };

/** Returns the secret as {grant} or {invite}, and removes it from the address bar and the history; {} if there is none. */
export function takeSecret() {
  const [kind, prefix] = Object.entries(prefixes).find(([, beginning]) => location.hash.startsWith(beginning)) ?? [];
  if (!kind) return {};
  const secret = location.hash.slice(prefix.length);
  history.replaceState(null, '', location.pathname + location.search);
  try {
    return { [kind]: decodeURIComponent(secret) }; // browsers encode characters outside ASCII, which a copied link may contain
  } catch {
    return { [kind]: secret };
  }
}
