// The errors of the kit.

/**
 * An error of the server, of the browser's passkey prompt, or of the network. `code` is stable: the server's problem code, or
 * one of the codes below. The other members are those of the server's problem document (RFC 9457), or empty.
 */
export class KeylodgeError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {Partial<KeylodgeError>} [more]
   */
  constructor(code, message, more) {
    super(message);
    this.name = 'KeylodgeError';
    this.code = code;
    /** @type {number} of the response; 0 if there is none */
    this.status = 0;
    /** @type {string | undefined} what the server says about this occurrence */
    this.detail = undefined;
    /** @type {{field: string, code: string, detail: string}[]} the members of the request to correct */
    this.fields = [];
    /** @type {string | undefined} the id of the request in the server's log */
    this.requestId = undefined;
    /** @type {number} seconds to wait, or 0 */
    this.retryAfter = 0;
    Object.assign(this, more);
  }
}

/**
 * @param {Response} response
 * @param {any} problem the problem document, or null if the answer has none, for example that of a proxy
 */
export function errorOfServer(response, problem) {
  return new KeylodgeError(problem?.code ?? `http_${response.status}`, problem?.title ?? `The server answered with status ${response.status}.`, {
    status: response.status,
    detail: problem?.detail,
    fields: problem?.errors ?? [],
    requestId: problem?.request_id ?? response.headers.get('X-Request-Id') ?? undefined,
    retryAfter: Number(response.headers.get('Retry-After')) || 0,
  });
}

// By the name of the browser's exception (WebAuthn Level 3, sections 5.1.3 and 5.1.4).
/** @type {Record<string, [code: string, message: string]>} */
const reasons = {
  AbortError: ['aborted', 'The request was aborted.'],
  ConstraintError: ['verification_unavailable', 'This device cannot verify its user.'],
  InvalidStateError: ['already_registered', 'This device already has a passkey for this account.'],
  NotAllowedError: ['cancelled', 'The request was cancelled, or no passkey was found.'],
  NotReadableError: ['unreadable', 'The passkey could not be read.'],
  NotSupportedError: ['not_supported', 'This device does not support the kind of passkey that is required.'],
  SecurityError: ['wrong_domain', 'Passkeys of this server do not work on this domain.'],
  TimeoutError: ['timed_out', 'The request has timed out.'],
};

/**
 * @param {any} error what the browser's prompt threw
 * @param {{elapsed: number, timeout?: number}} prompt both in milliseconds. Browsers report a timeout like a cancellation, so the
 *   time tells them apart.
 */
export function errorOfBrowser(error, { elapsed, timeout = Infinity }) {
  if (error instanceof KeylodgeError) return error;
  const late = error.name === 'NotAllowedError' && elapsed >= timeout;
  const [code, message] = reasons[late ? 'TimeoutError' : error.name] ?? ['failed', error.message || String(error)];
  return new KeylodgeError(code, message, { cause: error });
}
