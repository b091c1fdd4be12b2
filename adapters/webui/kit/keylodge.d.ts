// The types of the kit. Answers are those of the HTTP API (docs/reference/api.md), with the same names.

export interface KeylodgeOptions {
  /** The origin of the server, such as `https://id.example.org`; without it, the origin of the page. */
  origin?: string;
  /** How a sign-in is kept: in the session cookie, or as tokens. A page on another site than the server needs `bearer`. Default: `cookie`. */
  transport?: 'cookie' | 'bearer';
  /** Where tokens are stored; without it, in memory. */
  tokens?: TokenStore;
  /**
   * Is called before the browser's prompt of an automatic step-up, for example to explain it. The step-up waits for a returned promise;
   * if it throws, the call fails with that error.
   */
  beforeStepUp?: (error: KeylodgeError) => unknown;
}

export function createKeylodge(options?: KeylodgeOptions): Keylodge;

export interface Keylodge {
  /** Makes a call of the API and returns its answer; null for status 204. `path` begins below `/v1`. Throws a KeylodgeError. */
  call(method: string, path: string, body?: unknown): Promise<any>;
  /**
   * Is the browser's fetch, but if the answer asks for a step-up, it steps up and makes the call once more: 403 with the code
   * `step_up_required`, or 401 with `insufficient_user_authentication` (RFC 9470). It adds the session's credentials to paths that
   * begin with `/v1/`, which lead to Keylodge, and to no other. A function returns a fresh `init` for each of both calls.
   */
  fetch(input: string | URL, init?: RequestInit | (() => RequestInit | Promise<RequestInit>)): Promise<Response>;
  /** The server's time in milliseconds: expiry times are the server's. */
  now(): number;
  /** Why passkeys cannot work on this page; null if they can. */
  obstacle(): 'insecure_context' | 'webauthn_missing' | null;
  /** What the browser can do (`getClientCapabilities`, WebAuthn Level 3, section 5.1.7); empty if it does not say. */
  capabilities(): Promise<Record<string, boolean>>;
  /** Whether this device itself can have a passkey: it has an authenticator that verifies its user. */
  canCreateHere(): Promise<boolean>;
  /** The server's configuration. It is requested once. */
  config(): Promise<Config>;

  /** The current session, or null. If a session has ended, listeners get the reason. */
  session(): Promise<CurrentSession | null>;
  /** Binds changes to the session of an answer, and keeps its tokens; null for none. Sign-ins and `session` do it themselves. */
  use(answer: { session: Session; csrf_token?: string; tokens?: Tokens } | null): Promise<void>;
  /**
   * Calls the listener when a session begins, ends, or is replaced by another: in this page, in another tab of the same origin, or, when
   * the page is shown again or a call fails, elsewhere. Returns a function that ends it.
   */
  onSession(listener: (event: SessionEvent) => void): () => void;
  /** A token for other services (docs/guides/verify-a-jwt.md). */
  accessToken(): Promise<string>;

  /** Creates an account and its first passkey. `invite` is the token of an invite, which the server's `registration` may require. */
  signUp: Ceremony<{ email?: string; display_name?: string; invite?: string }, SignedIn>;
  /**
   * Signs in: with a passkey of this device where the browser can ask for that, or any other; with `email`, with a passkey of that
   * account; with `autofill`, with a passkey among the suggestions of an input field with `autocomplete="username webauthn"`. That
   * waits until the user picks one; other ceremonies suspend it. It ends with the error `aborted` after another sign-in. With `way`, one
   * of the plan that `begin` returned, in that way, such as with a phone.
   */
  signIn: {
    (input?: { email?: string; way?: SignInWay; autofill?: boolean; signal?: AbortSignal }): Promise<SignedIn>;
    begin(input?: { email?: string }): Promise<SignInPlan>;
    finish(begun: Begun, credential: CredentialJSON): Promise<SignedIn>;
  };
  signOut(): Promise<void>;
  /** Asks the user to confirm with a passkey. */
  stepUp: Ceremony<{}, unknown>;
  /** Does something that may need a step-up; if so, steps up and does it once more. The methods below do it themselves. */
  withStepUp<T>(action: () => Promise<T>): Promise<T>;

  account: {
    get(): Promise<User>;
    change(changes: { email?: string | null; display_name?: string | null }): Promise<User>;
    /** Deletes the account and all its data. */
    delete(): Promise<void>;
  };
  email: {
    /** Sends a code to the pending address, or to the unverified one. */
    sendCode(): Promise<{ expires_at: string }>;
    confirm(code: string): Promise<User>;
  };
  passkeys: {
    list(): Promise<Passkey[]>;
    /** `here` creates the passkey on this device, not on a phone or a security key beside it. */
    add: Ceremony<{ name?: string; here?: boolean }, Passkey>;
    rename(id: string, name: string | null): Promise<Passkey>;
    remove(id: string): Promise<void>;
  };
  sessions: {
    list(page?: Page): Promise<List<Session>>;
    end(id: string): Promise<void>;
    /** Returns the number of ended sessions. */
    endOthers(): Promise<number>;
  };
  events: { list(page?: Page & { kind?: string }): Promise<List<any>> };
  recovery: {
    factors(): Promise<{ totp: { enrolled: boolean; confirmed_at: string | null }; backup_codes: { remaining: number; generated_at: string | null } }>;
    /** Begins the set-up of an authenticator app. `qr_png` is a data: URL. */
    setUpTOTP(): Promise<{ secret: string; otpauth_uri: string; qr_png: string }>;
    confirmTOTP(code: string): Promise<void>;
    removeTOTP(): Promise<void>;
    /** Replaces the backup codes. They are shown once. */
    makeBackupCodes(): Promise<string[]>;
    /** Exchanges codes for the right to create one passkey. */
    redeem(proof: { email?: string; user_id?: string; totp_code?: string; backup_code?: string }): Promise<{ grant_token: string; expires_at: string }>;
    /** Creates that passkey and signs in. */
    enrol: Ceremony<{ grant_token: string }, SignedIn>;
  };
}

/** A ceremony: as one call, or its two calls of the server, if the app shows a prompt of its own between them. */
export interface Ceremony<Input, Result> {
  (input?: Input & { signal?: AbortSignal }): Promise<Result>;
  begin(input?: Input): Promise<Begun>;
  finish(begun: Begun, credential: CredentialJSON, input?: Input): Promise<Result>;
}

export interface Begun {
  challenge_id: string;
  /** For createPasskey or getPasskey, without changes. */
  options: any;
  expires_at: string;
}

/** A sign-in with the ways that the server plans for this browser, the best first. All share the options. */
export interface SignInPlan extends Begun {
  ways: SignInWay[];
}

export interface SignInWay {
  way: 'immediate' | 'autofill' | 'prompt' | 'phone' | 'security_key' | 'recovery';
  /** Of `navigator.credentials.get`. */
  mediation: 'conditional' | null;
  uiMode: 'immediate' | null;
  /** For the `hints` of the options. */
  hints: ('hybrid' | 'security-key')[];
}

/** A credential as WebAuthn Level 3, section 5.1, defines its JSON. */
export type CredentialJSON = Record<string, any>;

/** Creates a passkey, also in browsers without `parseCreationOptionsFromJSON`. Throws the browser's errors. */
export function createPasskey(options: any, more?: { signal?: AbortSignal }): Promise<CredentialJSON>;
/** Requests a passkey in the same way. */
export function getPasskey(options: any, more?: { mediation?: string; signal?: AbortSignal }): Promise<CredentialJSON>;

export interface SessionEvent {
  type: 'created' | 'ended' | 'changed';
  user?: User;
  session?: Session;
  /** Of a sign-in in this page; see SignedIn. */
  attachment?: SignedIn['attachment'];
  /** Why the session has ended, if it was not a sign-out. */
  error?: KeylodgeError;
}

export interface TokenStore {
  get(): Tokens | null | Promise<Tokens | null>;
  /** Stores the tokens; null when the session has ended. They are used after the returned promise. */
  set(tokens: Tokens | null): void | Promise<void>;
}

export interface Tokens {
  access_token: string;
  token_type: string;
  /** In seconds. */
  expires_in: number;
  refresh_token: string;
  refresh_expires_in: number;
}

export interface CurrentSession {
  user: User;
  session: Session;
}

export interface SignedIn extends CurrentSession {
  csrf_token?: string;
  tokens?: Tokens;
  /** After `signIn`: where the passkey is. `cross-platform` is a phone or a security key beside this device. Some browsers do not say. */
  attachment?: 'platform' | 'cross-platform';
}

export interface User {
  id: string;
  email: string | null;
  email_verified: boolean;
  pending_email: string | null;
  display_name: string | null;
  /** A BCP 47 tag. */
  locale: string | null;
  /** The groups that the operator has given the user, in alphabetical order. */
  groups: string[];
  created_at: string;
}

export interface Session {
  id: string;
  assurance: string;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  /** The passkey that the session was opened with. It may have been removed since. */
  passkey_id: string;
  current: boolean;
  [member: string]: any;
}

export interface Passkey {
  id: string;
  name: string | null;
  status: 'active' | 'suspended';
  created_at: string;
  last_used_at: string | null;
  backed_up: boolean;
  [member: string]: any;
}

export interface Config {
  rp_id: string;
  rp_name: string;
  [member: string]: any;
}

export interface Page {
  limit?: number;
  cursor?: string | null;
}

export interface List<Item> {
  items: Item[];
  next_cursor: string | null;
}

/**
 * An error of the server, of the browser's prompt, or of the network. `code` is the server's problem code (docs/reference/errors.md), or:
 *
 * - `cancelled`: the user cancelled, or has no passkey here. Browsers do not tell which.
 * - `timed_out`: the prompt's time has passed
 * - `aborted`: by a signal, or by another ceremony
 * - `already_registered`: this device has a passkey of this account
 * - `wrong_domain`: the page is not on the server's RP ID or below it
 * - `insecure_context`, `webauthn_missing`: the page or the browser cannot use passkeys
 * - `not_supported`, `verification_unavailable`: the device cannot create such a passkey, or cannot verify its user
 * - `unreadable`: the browser or the password manager returned no readable passkey
 * - `unreachable`: the server did not answer
 * - `session_changed`: another session has replaced the one of this page
 * - `http_…`: an answer that is not the server's, with its status
 * - `failed`: another error of the browser
 */
export class KeylodgeError extends Error {
  constructor(code: string, message: string, more?: Partial<KeylodgeError>);
  code: string;
  status: number;
  detail?: string;
  fields: { field: string; code: string; detail: string }[];
  requestId?: string;
  retryAfter: number;
}
