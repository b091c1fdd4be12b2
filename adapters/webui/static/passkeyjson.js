// Asks the browser for passkeys, with the server's JSON in and out (WebAuthn Level 3, sections 5.1.8 to 5.1.10). It works also in
// browsers without parseCreationOptionsFromJSON, parseRequestOptionsFromJSON and toJSON (Safari before 18.4, Chrome before 129),
// and with password managers that answer with an object of their own, where toJSON is missing or throws.
// It imports nothing, so that a page of another origin can serve a copy.

/** Makes a passkey for the `options` of the server. Returns the `credential` of the verify call. Throws what the browser throws. */
export async function createPasskey(options) {
  return asJSON(await navigator.credentials.create({ publicKey: parsed(options) }));
}

/** Asks for a passkey likewise; `how` may hold `mediation` and `signal`. */
export async function getPasskey(options, how = {}) {
  return asJSON(await navigator.credentials.get({ ...how, publicKey: parsed(options) }));
}

// ——— Options: base64url becomes bytes ———

function parsed(options) {
  const publicKey = { ...options, challenge: bytes(options.challenge) };
  if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
  for (const list of ['excludeCredentials', 'allowCredentials']) {
    if (options[list]) publicKey[list] = options[list].map((each) => ({ ...each, id: bytes(each.id) }));
  }
  if (options.extensions) publicKey.extensions = parsedExtensions(options.extensions);
  return publicKey;
}

// The extensions whose inputs are bytes: prf (section 10.1.4) and largeBlob (section 10.1.5).
function parsedExtensions(extensions) {
  const { prf, largeBlob } = extensions;
  const read = { ...extensions };
  if (prf) {
    read.prf = { ...prf };
    if (prf.eval) read.prf.eval = each(prf.eval, bytes);
    if (prf.evalByCredential) read.prf.evalByCredential = each(prf.evalByCredential, (inputs) => each(inputs, bytes));
  }
  if (largeBlob?.write) read.largeBlob = { ...largeBlob, write: bytes(largeBlob.write) };
  return read;
}

function bytes(text) {
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
}

// ——— Credentials: bytes become base64url ———

function asJSON(credential) {
  if (!credential) throw new DOMException('The browser returned no passkey.', 'NotAllowedError');
  const made = built(credential) ?? attempt(() => credential.toJSON());
  if (!made?.response?.clientDataJSON) throw new DOMException('The browser returned a passkey that cannot be read.', 'NotReadableError');
  return made;
}

// Each member is read by itself: on an object that only has PublicKeyCredential as its prototype, an inherited one throws.
function built(credential) {
  const response = {};
  for (const member of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) {
    const value = attempt(() => base64url(credential.response[member]));
    if (value) response[member] = value;
  }
  if (!response.clientDataJSON) return null;
  const transports = attempt(() => credential.response.getTransports());
  if (transports) response.transports = [...transports];

  const id = attempt(() => base64url(credential.rawId)) || attempt(() => credential.id);
  const extensions = attempt(() => credential.getClientExtensionResults()) ?? {};
  const made = { id, rawId: id, type: 'public-key', response, clientExtensionResults: encoded(extensions) };
  const attachment = attempt(() => credential.authenticatorAttachment);
  if (attachment) made.authenticatorAttachment = attachment;
  return made;
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function encoded(value) {
  if (isBuffer(value)) return base64url(value);
  if (Array.isArray(value)) return value.map(encoded);
  return value && typeof value === 'object' ? each(value, encoded) : value;
}

// A buffer may come from the realm of an extension or a frame, where it is no instance of this page's ArrayBuffer.
const isBuffer = (value) => ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === '[object ArrayBuffer]';

// A string is base64url already.
function base64url(value) {
  if (typeof value === 'string') return value;
  const view = ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : new Uint8Array(value ?? 0);
  const binary = Array.from(view, (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
