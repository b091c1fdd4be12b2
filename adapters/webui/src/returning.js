// The return to the application that has sent the user here: an application on another site gets an authorization code, and one on the
// same site nothing but the user, whose cookie its requests carry.

const pathOrQuery = /^([/?]|$)/;
const onlyURLCharacters = /^[\w.~:/?[\]@!$&'()*+,;=%-]*$/;
const maxLength = 2048;

/**
 * Returns the application of an address if a user may return to it: the origin of an application, byte for byte, and then nothing, a path
 * or a query, without characters that browsers remove or replace. It is the rule of the server's domain.Applications.ParseReturnTo.
 */
export function applicationOf(address, applications) {
  if (address.length > maxLength || !onlyURLCharacters.test(address)) return null;
  return applications.find(({ origin }) => address.startsWith(origin) && pathOrQuery.test(address.slice(origin.length))) ?? null;
}

/** Returns what the query of the page's address asks for: {address, challenge, state}; null for nothing. */
export function returnRequest(search = location.search) {
  const query = new URLSearchParams(search);
  const address = query.get('return_to');
  return address === null ? null : { address, challenge: query.get('code_challenge'), state: query.get('state') };
}

/**
 * Returns the application of a request, or null if the page must not return there: without a code challenge, only an application on the
 * same site finds the user signed in.
 */
export function applicationFor({ address, challenge }, { applications, rp_id: domain }) {
  const application = applicationOf(address, applications);
  if (!application || challenge) return application;
  const { hostname } = new URL(application.origin);
  return hostname === domain || hostname.endsWith(`.${domain}`) ? application : null;
}

/** Returns the address that takes the user back, with a code if the request has a challenge. */
export async function returnAddress(client, { address, challenge, state }) {
  if (!challenge) return address;
  const code = { return_to: address, code_challenge: challenge, state: state ?? undefined };
  return (await client.withStepUp(() => client.call('POST', '/session/code', code))).location;
}

// What a tab remembers, so that the account page can lead on to the application. The server's configuration decides about it each time.
const returnKey = 'keylodge-return';

/** Remembers what the page's address asks for. */
export function rememberReturn() {
  const query = new URLSearchParams(location.search);
  const kept = ['return_to', 'code_challenge', 'state'].filter((name) => query.has(name));
  sessionStorage.setItem(returnKey, `?${new URLSearchParams(kept.map((name) => [name, query.get(name)]))}`);
}

/** Returns the query of the address that the tab remembers; '' for none. */
export const rememberedReturn = () => sessionStorage.getItem(returnKey) ?? '';

export const forgetReturn = () => sessionStorage.removeItem(returnKey);
