// The kit: sign-up, sign-in and account management with passkeys, for pages of any origin. docs/guides/kit.md explains it.

import { Autofill } from './autofill.js';
import { Client, problemOf } from './client.js';
import { KeylodgeError } from './errors.js';
import { canCreateHere, canSuggest, capabilities, obstacle, Prompt, requirePasskeys } from './prompt.js';
import { Report } from './report.js';
import { SessionEvents } from './sessionevents.js';
import { signalAccepted, signalDeleted, signalUnknown } from './signals.js';

export { createPasskey, getPasskey } from './credentials.js';
export { KeylodgeError };

/** @type {typeof import('./keylodge.d.ts').createKeylodge} */
export function createKeylodge(options = {}) {
  const client = new Client(options);
  const prompt = new Prompt();
  const events = new SessionEvents(`keylodge ${options.origin ?? ''}`, session);
  const { beforeStepUp = () => {} } = options;

  // ——— Calls ———

  /** @type {import('./keylodge.d.ts').Keylodge['call']} */
  async function call(method, path, body) {
    try {
      const answer = await client.call(method, path, body);
      if (method !== 'GET') signalAccepted(answer?.signals);
      return answer;
    } catch (/** @type {any} */ error) {
      if (endsSession(error)) await sessionEnded(error);
      throw error;
    }
  }

  /**
   * Makes a call; if it needs a step-up, steps up and makes it once more.
   * @template T
   * @param {() => Promise<T>} action
   * @returns {Promise<T>}
   */
  async function withStepUp(action) {
    try {
      return await action();
    } catch (/** @type {any} */ error) {
      if (error.code !== 'step_up_required') throw error;
      await beforeStepUp(error);
    }
    await stepUp();
    return action();
  }

  /** @type {(method: string, path: string, body?: any) => Promise<any>} */
  const sensitive = (method, path, body) => withStepUp(() => call(method, path, body));

  /** @type {import('./keylodge.d.ts').Keylodge['fetch']} */
  async function fetchWithStepUp(input, init) {
    const send = async () => {
      const request = typeof init === 'function' ? await init() : init;
      return typeof input === 'string' && input.startsWith('/v1/') ? client.fetch(input.slice(3), request) : fetch(input, request);
    };
    const response = await send();
    const error = await stepUpError(response);
    if (!error) return response;
    await beforeStepUp(error);
    await stepUp();
    return send();
  }

  /** @type {Promise<any> | null} */
  let configuration = null;

  /** @type {import('./keylodge.d.ts').Keylodge['config']} */
  function config() {
    configuration ??= call('GET', '/config').catch((error) => {
      configuration = null;
      throw error;
    });
    return configuration;
  }

  // ——— The session ———

  /** @param {any} answer */
  async function signedIn(answer) {
    autofill.give(aborted());
    await client.use(answer);
    events.announce({ type: 'created', user: answer.user, session: answer.session, attachment: answer.attachment });
    return answer;
  }

  /** @param {KeylodgeError} [error] */
  async function sessionEnded(error) {
    if (client.sessionID === null) return;
    await client.use(null);
    events.emit({ type: 'ended', error });
  }

  // Emits what differs from the session that the page had.
  async function session() {
    const before = client.sessionID;
    let answer;
    try {
      answer = await client.call('GET', '/session/state');
    } catch (/** @type {any} */ error) {
      if (!endsSession(error)) throw error;
      await client.call('DELETE', '/session').catch(() => {}); // otherwise its cookie would be an error at each visit
      if (before === null) events.emit({ type: 'ended', error });
      await sessionEnded(error);
      return null;
    }
    if (!answer.session) {
      await sessionEnded();
      return null;
    }
    if (answer.session.id !== before) {
      await client.use({ session: answer.session });
      events.emit({ type: before === null ? 'created' : 'changed', ...answer });
    }
    return answer;
  }

  async function signOut() {
    await client.call('DELETE', '/session');
    await client.use(null);
    events.announce({ type: 'ended' });
  }

  // ——— Ceremonies ———

  /**
   * Combines the steps of a ceremony with the browser's prompt between them.
   * @template {(...args: any[]) => Promise<any>} B
   * @param {{begin: B, ask: (ceremony: any, input: any) => Promise<any>, finish: (ceremony: any, credential: any, input: any) => Promise<any>}} steps
   */
  function ceremony({ begin, ask, finish }) {
    /** @param {any} [input] */
    async function run(input = {}) {
      requirePasskeys();
      await autofill.pause();
      try {
        const begun = await begin(input);
        return await finish(begun, await ask(begun, input), input);
      } finally {
        autofill.resume();
      }
    }
    return Object.assign(run, { begin, finish });
  }

  /** @type {(begun: any, input: {signal?: AbortSignal}) => Promise<any>} */
  const create = ({ options: publicKey }, { signal }) => prompt.create(publicKey, signal);

  const signUp = ceremony({
    begin: ({ email, display_name, invite }) => call('POST', '/signup/options', filled({ email, display_name, invite })),
    ask: create,
    finish: async (begun, credential) => signedIn(await register(begun, credential, () => call('POST', '/signup/verify', {
      challenge_id: begun.challenge_id, credential, ...client.transport,
    }))),
  });

  /** @param {{email?: string}} [input] */
  const planSignIn = async ({ email } = {}, without = {}) => call('POST', '/login/plan', filled({ email, capabilities: { ...await capabilities(), ...without } }));

  /** @type {(begun: any, credential: any) => Promise<any>} */
  const finishSignIn = async (begun, credential) => {
    try {
      const answer = await call('POST', '/login/verify', { challenge_id: begun.challenge_id, credential, ...client.transport });
      return await signedIn({ ...answer, attachment: credential.authenticatorAttachment });
    } catch (/** @type {any} */ error) {
      if (error.code === 'passkey_unknown') await signalUnknown(begun.options.rpId, credential.id);
      throw error;
    }
  };

  const autofill = new Autofill({
    begin: () => call('POST', '/login/options'),
    ask: (begun, signal) => prompt.get(begun.options, { mediation: 'conditional', signal }),
    finish: async (begun, credential) => {
      const answer = await finishSignIn(begun, credential);
      client.report([{ way: 'autofill', outcome: 'done' }]);
      return answer;
    },
    now: () => client.now(),
  });

  const signInAsPlanned = ceremony({
    begin: async ({ way, ...input }) => (way
      ? { ...await call('POST', '/login/options', filled({ email: input.email })), ways: [way] } // planned before
      : planSignIn(input, { conditionalGet: false })), // a button asks at once
    ask: ({ options, ways: [way] }, { signal, report }) => prompt.get(options, { way, signal, report }),
    finish: finishSignIn,
  });

  /** @param {{email?: string, way?: import('./keylodge.d.ts').SignInWay, signal?: AbortSignal}} input */
  async function signInNow(input) {
    const report = new Report((steps) => client.report(steps));
    try {
      const answer = await signInAsPlanned({ ...input, report });
      report.add('done');
      return answer;
    } catch (/** @type {any} */ error) {
      if (error.code === 'cancelled' || error.code === 'timed_out') report.add('cancelled');
      throw error;
    } finally {
      report.end();
    }
  }

  /** @param {{email?: string, way?: import('./keylodge.d.ts').SignInWay, autofill?: boolean, signal?: AbortSignal}} [input] */
  async function signIn(input = {}) {
    if (!input.autofill) return signInNow(input);
    requirePasskeys();
    if (!(await canSuggest())) throw new KeylodgeError('not_supported', 'This browser has no passkeys in its suggestions.');
    if (input.signal?.aborted) throw aborted();
    const abort = () => { autofill.give(aborted()); };
    input.signal?.addEventListener('abort', abort);
    return autofill.wait(aborted()).finally(() => input.signal?.removeEventListener('abort', abort));
  }

  const stepUp = ceremony({
    begin: () => call('POST', '/session/step-up/options'),
    ask: (begun, { signal }) => prompt.get(begun.options, { signal }),
    finish: (begun, credential) => client.verifyStepUp({ challenge_id: begun.challenge_id, credential }),
  });

  const addPasskey = ceremony({
    begin: () => sensitive('POST', '/me/passkeys/options'),
    ask: ({ options }, input) => create({ options: input.here ? onThisDevice(options) : options }, input),
    finish: async (begun, credential, { name } = /** @type {{name?: string}} */ ({})) => (await register(begun, credential, () => sensitive('POST', '/me/passkeys/verify', {
      challenge_id: begun.challenge_id, credential, ...filled({ passkey_name: name }),
    }))).passkey,
  });

  const enrol = ceremony({
    begin: ({ grant_token }) => call('POST', '/recovery/options', { grant_token }),
    ask: create,
    finish: async (begun, credential, { grant_token }) => signedIn(await register(begun, credential, () => call('POST', '/recovery/verify', {
      grant_token, challenge_id: begun.challenge_id, credential, ...client.transport,
    }))),
  });

  return {
    call,
    fetch: fetchWithStepUp,
    now: () => client.now(),
    obstacle,
    capabilities,
    canCreateHere,
    config,
    session,
    use: (answer) => client.use(answer),
    onSession: (listener) => events.add(listener),
    accessToken: async () => (await call('POST', '/session/token')).access_token,
    signUp,
    signIn: Object.assign(signIn, { begin: planSignIn, finish: finishSignIn }),
    signOut,
    stepUp,
    withStepUp,
    account: {
      get: async () => (await call('GET', '/me')).user,
      change: async (changes) => (await sensitive('PATCH', '/me', changes)).user,
      async delete() {
        const { signals } = await client.call('GET', '/me/passkeys');
        await sensitive('DELETE', '/me');
        await signalDeleted(signals);
        await client.use(null);
        events.announce({ type: 'ended' });
      },
    },
    email: {
      sendCode: () => sensitive('POST', '/me/email/code'),
      confirm: async (code) => (await sensitive('POST', '/me/email/confirm', { code })).user,
    },
    passkeys: {
      list: async () => (await call('GET', '/me/passkeys')).items,
      add: addPasskey,
      rename: async (id, name) => (await call('PATCH', `/me/passkeys/${encodeURIComponent(id)}`, { name })).passkey,
      remove: async (id) => { await sensitive('DELETE', `/me/passkeys/${encodeURIComponent(id)}`); },
    },
    sessions: {
      list: (page) => call('GET', '/me/sessions' + query(page)),
      end: async (id) => { await call('DELETE', `/me/sessions/${encodeURIComponent(id)}`); },
      endOthers: async () => (await call('DELETE', '/me/sessions')).revoked,
    },
    events: { list: (page) => call('GET', '/me/events' + query(page)) },
    recovery: {
      factors: () => call('GET', '/me/recovery'),
      setUpTOTP: () => sensitive('POST', '/me/recovery/totp'),
      confirmTOTP: async (code) => { await call('POST', '/me/recovery/totp/confirm', { code }); },
      removeTOTP: async () => { await sensitive('DELETE', '/me/recovery/totp'); },
      makeBackupCodes: async () => (await sensitive('POST', '/me/recovery/backup-codes')).codes,
      redeem: (proof) => call('POST', '/recovery/redeem', proof),
      enrol,
    },
  };
}

const aborted = () => new KeylodgeError('aborted', 'Another ceremony has begun.');

/** @param {any} options */
const onThisDevice = (options) => ({
  ...options, hints: ['client-device'], authenticatorSelection: { ...options.authenticatorSelection, authenticatorAttachment: 'platform' },
});

/**
 * Verifies a new passkey. If the server rejects it, the device has stored it, but no account has it.
 * @param {any} begun
 * @param {any} credential
 * @param {() => Promise<any>} verify
 */
async function register(begun, credential, verify) {
  try {
    return await verify();
  } catch (/** @type {any} */ error) {
    const rejected = error.status >= 400 && error.status < 500 && error.code !== 'passkey_already_registered';
    if (rejected) await signalUnknown(begun.options.rp.id, credential.id);
    throw error;
  }
}

/** @param {any} error */
const endsSession = ({ status, code }) => status === 401 || code === 'user_disabled';

/**
 * Returns the error if an answer asks for a step-up: 403 step_up_required of Keylodge or of the app's own server, or the answer of
 * RFC 9470.
 * @param {Response} response
 */
async function stepUpError(response) {
  if (response.status === 403 && response.headers.get('Content-Type')?.includes('json')) {
    if ((await problemOf(response.clone()))?.code !== 'step_up_required') return null;
  } else if (response.status !== 401 || !response.headers.get('WWW-Authenticate')?.includes('insufficient_user_authentication')) return null;
  return new KeylodgeError('step_up_required', 'This needs a recent passkey authentication.', { status: response.status });
}

/** @param {Record<string, unknown>} fields */
const filled = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value));

/** @param {object} [page] its members that are null or undefined are omitted */
function query(page = {}) {
  const text = new URLSearchParams(Object.entries(page).filter(([, value]) => value != null)).toString();
  return text && `?${text}`;
}
