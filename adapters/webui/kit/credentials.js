// Creates and requests passkeys with the server's JSON as input and output (WebAuthn Level 3, sections 5.1.8 to 5.1.10). It also
// works in browsers without parseCreationOptionsFromJSON, parseRequestOptionsFromJSON and toJSON (Safari before 18.4, Chrome before 129),
// and with password managers that return their own object, whose toJSON is missing or throws.

/**
 * Creates a passkey from the server's `options`. Returns the `credential` for the verify call. Throws the browser's errors.
 * @param {any} options
 * @param {object} [more] such as `signal`
 */
export async function createPasskey(options, more) {
  return asJSON(await navigator.credentials.create({ ...more, publicKey: parsed(options) }));
}

/**
 * Requests a passkey in the same way.
 * @param {any} options
 * @param {object} [more] such as `mediation` and `signal`
 */
export async function getPasskey(options, more) {
  return asJSON(await navigator.credentials.get({ ...more, publicKey: parsed(options) }));
}

// ——— Options: base64url to bytes ———

/** @param {any} options */
function parsed(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge) };
  if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
  for (const list of ['excludeCredentials', 'allowCredentials']) {
    if (options[list]) publicKey[list] = options[list].map((/** @type {any} */ each) => ({ ...each, id: bytes(each.id) }));
  }
  if (options.extensions) publicKey.extensions = parsedExtensions(options.extensions);
  return publicKey;
}

// Decodes the extensions whose inputs are bytes: prf (section 10.1.4) and largeBlob (section 10.1.5).
/** @param {any} extensions */
function parsedExtensions(extensions) {
  const { prf, largeBlob } = extensions;
  const decoded = { ...extensions };
  if (prf) {
    decoded.prf = { ...prf };
    if (prf.eval) decoded.prf.eval = each(prf.eval, bytes);
    if (prf.evalByCredential) decoded.prf.evalByCredential = each(prf.evalByCredential, (/** @type {any} */ inputs) => each(inputs, bytes));
  }
  if (largeBlob?.write) decoded.largeBlob = { ...largeBlob, write: bytes(largeBlob.write) };
  return decoded;
}

/** @param {string} text */
function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

// ——— Credentials: bytes to base64url ———

/** @param {any} credential */
function asJSON(credential) {
  if (!credential) throw new DOMException('The browser returned no passkey.', 'NotAllowedError');
  const json = fromMembers(credential) ?? attempt(() => credential.toJSON());
  if (!json?.response?.clientDataJSON) throw new DOMException('The browser returned a passkey that cannot be read.', 'NotReadableError');
  return json;
}

// Reads each member separately: on an object that only has PublicKeyCredential as its prototype, inherited members throw.
/** @param {any} credential */
function fromMembers(credential) {
  /** @type {Record<string, any>} */
  const response = {};
  for (const member of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    const value = attempt(() => base64url(credential.response[member]));
    if (value) response[member] = value;
  }
  if (!response.clientDataJSON) return null;
  const transports = attempt(() => credential.response.getTransports());
  if (Array.isArray(transports)) response.transports = transports.filter(isText);

  const id = attempt(() => base64url(credential.rawId)) || attempt(() => credential.id);
  const extensions = attempt(() => encoded({ ...credential.getClientExtensionResults() })) ?? {};
  /** @type {import('./keylodge.d.ts').CredentialJSON} */
  const json = { id, rawId: id, type: 'public-key', response, clientExtensionResults: extensions };
  const attachment = attempt(() => credential.authenticatorAttachment);
  if (isText(attachment)) json.authenticatorAttachment = attachment;
  return json;
}

const isText = (/** @type {unknown} */ value) => typeof value === 'string';

/** @type {<T>(read: () => T) => T | undefined} */
function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** @type {(value: any) => any} */
function encoded(value) {
  if (isBuffer(value)) return base64url(value);
  if (Array.isArray(value)) return value.map(encoded);
  return value && typeof value === 'object' ? each(value, encoded) : value;
}

// A buffer of an extension's or a frame's realm is not an instance of this page's ArrayBuffer.
const isBuffer = (/** @type {unknown} */ value) => ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === '[object ArrayBuffer]';

// A string is assumed to be base64url already.
/** @param {any} value */
function base64url(value) {
  if (isText(value)) return value;
  const view = ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value ?? 0);
  const binary = Array.from(view, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** @type {(object: object, change: (value: any) => any) => any} */
const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
