package requirements

// sections are all requirements, in the order of docs/security/requirements.md.
var sections = []section{
	{title: "WebAuthn", requirements: []requirement{
		{
			id:             "WebAuthn-7.1-7",
			source:         "WebAuthn §7.1-7, §7.2-10",
			text:           "the type of a response is exactly that of its ceremony",
			implementation: "a strict check before the library's: `webauthn.checkClientData`",
		},
		{
			id:     "WebAuthn-7.1-8",
			source: "WebAuthn §7.1-8, §7.2-11, §13.4.3",
			text: "challenges are from the server, random, expire, are single-use, and are for one ceremony in " +
				"one browser",
			implementation: "32 bytes; `domain.Challenge.Redeem` checks the binding, `ports.Challenges.Consume` returns " +
				"each once",
		},
		{
			id:             "WebAuthn-7.1-9",
			source:         "WebAuthn §7.1-9, §7.2-12, §13.4.9",
			text:           "the origin is an allowed one, byte for byte",
			implementation: "`webauthn.checkClientData` compares bytes",
		},
		{
			id:             "WebAuthn-7.1-10",
			source:         "WebAuthn §7.1-10, §7.1-11, §7.2-13, §7.2-14, §13.4.2",
			text:           "no response from a frame of another site",
			implementation: "crossOrigin and topOrigin are rejected; there is no setting for them",
		},
		{
			id:             "WebAuthn-7.1-14",
			source:         "WebAuthn §7.1-14, §7.2-15",
			text:           "the response is for this RP ID, never for an AppID",
			implementation: "`webauthn.checkAuthenticatorData`",
		},
		{
			id:             "WebAuthn-7.1-15",
			source:         "WebAuthn §7.1-15, §7.2-16",
			text:           "the user was present",
			implementation: "`domain.AuthenticatorFlags.Verify`; no conditional creation, decision 0018",
		},
		{
			id:             "WebAuthn-7.1-16",
			source:         "WebAuthn §7.1-16, §7.2-17",
			text:           "the authenticator verified the user",
			implementation: "user verification is always requested and required: `domain.AuthenticatorFlags.Verify`",
		},
		{
			id:             "WebAuthn-7.1-17",
			source:         "WebAuthn §7.1-17, §7.2-18",
			text:           "no backup state without backup eligibility",
			implementation: "`domain.AuthenticatorFlags.Verify`",
		},
		{
			id:             "WebAuthn-7.2-19",
			source:         "WebAuthn §7.2-19",
			text:           "backup eligibility never changes; backup state is updated",
			implementation: "`domain.Credential.RecordUse`",
		},
		{
			id:     "WebAuthn-7.1-20",
			source: "WebAuthn §7.1-20, §6.5.1.1",
			text: "only offered algorithms; each of them can sign in; every key is one that only its holder " +
				"can sign for",
			implementation: "ES256, EdDSA, RS256: `webauthn.checkPublicKey`; [accepted keys](../ceremonies.md#decisions)",
		},
		{
			id:     "WebAuthn-7.1-21",
			source: "WebAuthn §7.1-21 ff.",
			text: "attestation formats are matched exactly, `none` has an empty statement, the policy is " +
				"documented",
			implementation: "statements are checked for form, and are not trusted unless `domain.AuthenticatorPolicy` " +
				"requires attestation (decision 0035)",
		},
		{
			id:             "WebAuthn-7.1-25",
			source:         "WebAuthn §7.1-25",
			text:           "a credential id has at most 1023 bytes",
			implementation: "`domain.NewCredentialID`",
		},
		{
			id:             "WebAuthn-7.1-26",
			source:         "WebAuthn §7.1-26",
			text:           "a credential id belongs to one user",
			implementation: "primary key of the table; `ports.Credentials.Add`",
		},
		{
			id:             "WebAuthn-7.2-5",
			source:         "WebAuthn §7.2-5, §7.2-6",
			text:           "the passkey belongs to the user, who is identified by a user handle if no address was given",
			implementation: "`webauthn.checkIdentity`",
		},
		{
			id:             "WebAuthn-7.2-21",
			source:         "WebAuthn §7.2-21",
			text:           "the signature is by the registered key",
			implementation: "the library verifies with the stored key",
		},
		{
			id:     "WebAuthn-7.2-22",
			source: "WebAuthn §7.2-22, §6.1.1",
			text: "the counter is stored before the response; a decrease is rejected, and reported to the " +
				"owner and the operator under every policy",
			implementation: "`domain.Credential.RecordUse`, in the transaction of the sign-in",
		},
		{
			id:             "WebAuthn-14.6.1",
			source:         "WebAuthn §14.6.1",
			text:           "a user handle is random and contains no information",
			implementation: "32 bytes: `domain.NewUserHandle`",
		},
		{
			id:     "WebAuthn-14.6.2",
			source: "WebAuthn §14.6.2, §14.6.3",
			text:   "responses do not reveal who has an account, or which passkeys",
			implementation: "`domain.Decoys`, recognised in every call by a tag; e-mails instead of responses if e-mail " +
				"is sent",
		},
		{
			id:             "WebAuthn-13.4.6",
			source:         "WebAuthn §13.4.6",
			text:           "losing a passkey does not lose the account",
			implementation: "several passkeys, recovery, and the last passkey cannot be removed: `domain.Passkeys.Remove`",
		},
		{
			id:     "WebAuthn-13.4.8",
			source: "WebAuthn §13.4.8",
			text:   "no third-party code on the RP's origin",
			implementation: "one page, no inline code, no third-party scripts, Trusted Types: " +
				"`webui.contentSecurityPolicy`",
		},
		{
			id:             "FIDO-Attestation-Resp-1",
			source:         "FIDO conformance, Attestation Resp-1 to 3",
			text:           "malformed registration responses are rejected, each for its reason",
			implementation: "the checks before the library: `webauthn.RelyingParty.VerifyRegistration`",
		},
		{
			id:             "FIDO-Attestation-Resp-4",
			source:         "FIDO conformance, Attestation Resp-4 to 8",
			text:           "each algorithm is accepted; packed, none and U2F are verified",
			implementation: "`webauthn.RelyingParty.VerifyRegistration`",
		},
		{
			id:             "FIDO-Assertion-Resp-1",
			source:         "FIDO conformance, Assertion Resp-1 to 3",
			text:           "malformed authentication responses are rejected, each for its reason",
			implementation: "`webauthn.RelyingParty.VerifyAuthentication`",
		},
		{
			id:             "FIDO-Req-1",
			source:         "FIDO conformance, Req-1",
			text:           "options are well-formed, exclude or allow the right passkeys, and have a unique challenge",
			implementation: "`webauthn.RelyingParty.BeginRegistration`, `BeginAuthentication`",
		},
	}},
	{title: "Authentication, recovery and factors", requirements: []requirement{
		{
			id:     "ASVS-6.1.1",
			source: "ASVS 6.1.1",
			text:   "the design against guessing and lockouts is documented",
			implementation: "[in the threat model](threat-model.md#rate-limits-and-lockouts), in " +
				"[rate-limits.md](../operations/rate-limits.md), and in decisions 0022, 0032 and 0033",
		},
		{
			id:     "ASVS-6.3.1",
			source: "ASVS 6.3.1",
			text:   "the design is implemented",
			implementation: "`domain.Lockout`, in the transaction of the attempt; `domain.RateLimits`, before anything " +
				"is looked up",
		},
		{
			id:             "ASVS-6.3.3",
			source:         "ASVS 6.3.3, level 3",
			text:           "a phishing-resistant factor, and an action of its owner, at each sign-in",
			implementation: "a passkey with user verification is the only way to a session",
		},
		{
			id:     "ASVS-6.3.4",
			source: "ASVS 6.3.4",
			text:   "no weaker way to the same rights",
			implementation: "recovery opens a session without recent authentication, `domain.Session.MarkRecovered`; a " +
				"refresh is not an authentication; tokens for other audiences are rejected",
		},
		{
			id:             "ASVS-6.3.5",
			source:         "ASVS 6.3.5, 6.3.7",
			text:           "owners are notified of suspicious events, and of changes to the ways of signing in",
			implementation: "by e-mail to a verified address, `domain.NotificationKind`, and always in the audit log",
		},
		{
			id:     "ASVS-6.3.8",
			source: "ASVS 6.3.8",
			text:   "neither responses nor times reveal who has an account",
			implementation: "the same queries, writes and computations for an unknown name, and a minimum response time " +
				"of ten milliseconds for the rest: `httpapi.padResponseTime`, decision 0036",
		},
		{
			id:     "ASVS-6.4.3",
			source: "ASVS 6.4.3, 6.4.4",
			text:   "recovery does not bypass the second factor, and is as strong as enrolment",
			implementation: "it always ends with a new passkey with user verification, revokes every earlier session, " +
				"and opens one that changes nothing until a step-up. Enrolment proves no identity here, so " +
				"recovery need not.",
			deviation: "with `KEYLODGE_RECOVERY_POLICY=any` one code is enough, so that users can recover without " +
				"an operator; `both` requires two, see [NIST-4.2.2.2](#nist-4222)",
		},
		{
			id:             "ASVS-6.5.1",
			source:         "ASVS 6.5.1",
			text:           "backup codes and TOTP codes are single-use",
			implementation: "`domain.TOTP.Accept`; a backup code is deleted by the registration that it authorises",
		},
		{
			id:     "ASVS-6.5.2",
			source: "ASVS 6.5.2",
			text:   "codes under 112 bits are stored as slow, salted hashes",
			deviation: "backup codes have 80 bits and are stored as HMAC-SHA-256 under a 256-bit key that is " +
				"derived from the secret and not in the database, `domain.BackupCodeDigest`. The database " +
				"alone does not allow guesses at all; with the secret, an attacker still faces 80 bits. A " +
				"slow hash would have to be computed for every code of every account, since a code " +
				"identifies no user. NIST §4.2.1.1 requires 64 bits and a hash",
		},
		{
			id:             "ASVS-6.5.3",
			source:         "ASVS 6.5.3, 6.5.4",
			text:           "codes and seeds are random, with at least 20 bits",
			implementation: "80 bits, 160 for a TOTP seed, eight digits for an address",
		},
		{
			id:     "ASVS-6.5.5",
			source: "ASVS 6.5.5, 6.5.8",
			text:   "a TOTP code is valid for 30 s, by the server's clock",
			implementation: "steps of 30 s, with one more on either side for clock skew (RFC 6238, §5.2), each " +
				"single-use; the client's time is not used",
		},
		{
			id:     "ASVS-6.5.6",
			source: "ASVS 6.5.6",
			text:   "each factor can be revoked",
			implementation: "passkeys and the app are removed, codes by generating new ones; sessions and grants that " +
				"they opened are revoked",
		},
		{
			id:             "ASVS-6.7.2",
			source:         "ASVS 6.7.2",
			text:           "challenges have 64 bits and are unique",
			implementation: "32 random bytes for each",
		},
	}},
	{title: "Sessions and tokens", requirements: []requirement{
		{
			id:     "ASVS-7.2.1",
			source: "ASVS 7.2.1 to 7.2.3",
			text:   "sessions are looked up, by a random reference of 128 bits",
			implementation: "256 bits, `domain.SessionToken`; the session of an access token is looked up, too, " +
				"`sessions.Service.Authenticate`",
		},
		{
			id:     "ASVS-7.2.4",
			source: "ASVS 7.2.4",
			text:   "a new session reference at each authentication; the old one is invalid",
			implementation: "a sign-in opens a new session and revokes the browser's previous one; a step-up keeps the " +
				"session and replaces its cookie or tokens, `domain.Session.StepUp`, decision 0038",
		},
		{
			id:             "ASVS-7.3.1",
			source:         "ASVS 7.3.1, 7.3.2",
			text:           "sessions end when idle, and at their maximum age",
			implementation: "`domain.Session.RequireActive`, `domain.Session.Touch`",
		},
		{
			id:             "ASVS-7.4.1",
			source:         "ASVS 7.4.1",
			text:           "signing out ends the session on the server, and its JWTs",
			implementation: "Keylodge itself rejects an access token as soon as its session has ended.",
			deviation: "another service that verifies tokens locally accepts it until it expires, after " +
				"`KEYLODGE_ACCESS_TOKEN_TTL`, five minutes by default; this is a property of self-contained " +
				"tokens. A service that cannot wait sends a client's token to `GET /v1/session`",
		},
		{
			id:     "ASVS-7.4.2",
			source: "ASVS 7.4.2",
			text:   "disabling or deleting an account ends its sessions",
			implementation: "in the same transaction, `admin.DisableUser`, `ports.Users.Remove`; and " +
				"`domain.User.RequireEnabled` at each request",
		},
		{
			id:     "ASVS-7.4.3",
			source: "ASVS 7.4.3, 7.5.2",
			text:   "users see their sessions and can end them, and are offered to after a factor changed",
			implementation: "the page lists them with the passkeys, with a button to sign out everywhere else; the " +
				"e-mail about a changed factor says so; removing a passkey revokes the sessions that it " +
				"opened.",
			deviation: "ending a session requires no step-up: a user who lost a device must be able to, and an " +
				"attacker gains nothing",
		},
		{
			id:     "ASVS-7.5.1",
			source: "ASVS 7.5.1, 7.5.3",
			text:   "a recent authentication before factors change",
			implementation: "`domain.AuthContext`: ten minutes, and not by a token that was issued before the latest " +
				"assertion ([tokens](tokens.md)). Changing the e-mail address requires it as well, though an " +
				"address gives no access",
		},
		{
			id:             "ASVS-9.1.1",
			source:         "ASVS 9.1.1 to 9.1.3",
			text:           "tokens are verified with allowed algorithms and known keys, never with a key from the token",
			implementation: "`jwt.Keys.Verify`",
		},
		{
			id:             "ASVS-9.2.1",
			source:         "ASVS 9.2.1 to 9.2.4",
			text:           "time, type, audience and scope of a token are checked",
			implementation: "`jwt.Keys.Verify`, `domain.AccessPolicy`",
		},
	}},
	{title: "HTTP", requirements: []requirement{
		{
			id:             "ASVS-3.3.1",
			source:         "ASVS 3.3.1 to 3.3.4",
			text:           "cookies are `__Host-`, Secure, SameSite and HttpOnly",
			implementation: "`httpapi.cookies`",
		},
		{
			id:             "ASVS-3.4.1",
			source:         "ASVS 3.4.1 to 3.4.8",
			text:           "HSTS, CORS for allowed origins, CSP, nosniff, referrer, frames, COOP",
			implementation: "`httpapi.secureHeaders`, `webui.headers`",
		},
		{
			id:     "ASVS-3.5.1",
			source: "ASVS 3.5.1 to 3.5.3",
			text:   "other sites change nothing, and safe methods change nothing",
			implementation: "`httpapi.checkOrigin`, CSRF tokens, JSON only; reads write nothing except the last use of a " +
				"session",
		},
		{
			id:             "ASVS-4.1.3",
			source:         "ASVS 4.1.3, 15.3.4",
			text:           "a client cannot choose its identity",
			implementation: "proxy headers are ignored unless a trusted proxy sent them: `httpapi.clientIP`",
		},
		{
			id:     "ASVS-4.2.1",
			source: "ASVS 4.2.1",
			text:   "the end of a message is unambiguous",
			implementation: "`edge.checkFraming` and `edge.scanner`, around fasthttp 1.77; limits of size, time and " +
				"number, `edge.LimitListener`",
		},
		{
			id:     "ASVS-8.2.1",
			source: "ASVS 8.2.1 to 8.2.3",
			text:   "who may call what, on whose data, and see which members",
			implementation: "`httpapi.requireSession`; use cases look up only the caller's own data; responses are " +
				"closed schemas in the OpenAPI document, and the tests validate every exchange",
		},
		{
			id:             "ASVS-2.3.3",
			source:         "ASVS 2.3.3, 2.3.4, 15.4.2",
			text:           "operations are atomic; nothing changes between check and use; single use is enforced",
			implementation: "`ports.Store.Update`; `identity.Principal.Reload`; conditional statements",
		},
		{
			id:             "ASVS-15.3.3",
			source:         "ASVS 15.3.3, 15.3.5",
			text:           "only members of the call are assigned; types are strict",
			implementation: "one struct per body, `httpapi.decodeBody`; ambiguous JSON is rejected",
		},
		{
			id:     "ASVS-11.5.1",
			source: "ASVS 11.5.1",
			text:   "all secrets are random, with at least 128 bits",
			implementation: "`crypto/rand`. Codes that users type are shorter: [ASVS-6.5.2](#asvs-652) and " +
				"[ASVS-6.5.3](#asvs-653)",
		},
		{
			id:             "ASVS-13.3.1",
			source:         "ASVS 13.3.1, 13.3.4",
			text:           "secrets are outside of the code, and can be replaced",
			implementation: "`KEYLODGE_SECRET` or a separate file; `KEYLODGE_PREVIOUS_SECRETS`; signing keys rotate",
		},
		{
			id:     "ASVS-16.2.5",
			source: "ASVS 16.2.5, 16.3.1, 16.4.1",
			text: "security events are logged, secrets are not; a client cannot inject log lines, nor push " +
				"events out of sight",
			implementation: "`domain.Secret` redacts; structured logs; `audit.Log`",
		},
		{
			id:             "ASVS-16.5.1",
			source:         "ASVS 16.5.1 to 16.5.4",
			text:           "errors reveal no internals; failures fail closed; there is a last handler",
			implementation: "`httpapi.problemOf`, `httpapi.recoverPanic`",
		},
	}},
	{title: "NIST", requirements: []requirement{
		{
			id:             "NIST-2.2.2",
			source:         "NIST §2.2.2",
			text:           "a phishing-resistant method is offered",
			implementation: "it is the only one",
		},
		{
			id:     "NIST-2.2.3",
			source: "NIST §2.2.3",
			text:   "AAL2: reauthentication after 24 h, or 1 h idle (SHOULD); AAL3: 12 h, or 15 min",
			deviation: "30 days and 7 days by default, since sensitive actions require a step-up. " +
				"`KEYLODGE_SESSION_TTL=24h` and `KEYLODGE_SESSION_IDLE_TTL=1h` meet AAL2, `12h` and `15m` " +
				"AAL3",
		},
		{
			id:             "NIST-3.2.2",
			source:         "NIST §3.2.2",
			text:           "at most 100 wrong attempts in a row, and waits",
			implementation: "20, for TOTP codes: `domain.Lockout`; an authenticator counts its PINs itself",
		},
		{
			id:             "NIST-3.1.4",
			source:         "NIST §3.1.4",
			text:           "a one-time code is accepted once",
			implementation: "`domain.TOTP.Accept`",
		},
		{
			id:     "NIST-4.2.1.1",
			source: "NIST §4.2.1.1",
			text: "a recovery code on paper has 64 bits, is hashed, throttled, single-use and replaced; its " +
				"owner is notified",
			implementation: "80 bits, ten in a set, so that nine remain; the e-mail says to generate new ones",
		},
		{
			id:     "NIST-4.2.2.2",
			source: "NIST §4.2.2.2",
			text:   "AAL2: two codes by different channels, or one and another authenticator",
			deviation: "by default one is enough, see [ASVS-6.4.3](#asvs-643). `KEYLODGE_RECOVERY_POLICY=both` " +
				"requires a backup code and a TOTP code, `domain.RecoveryGrant.RequireFactors`",
		},
		{
			id:     "NIST-4.6",
			source: "NIST §4.6",
			text:   "owners are notified of new authenticators and of recovery, and how to deny it",
			implementation: "each e-mail says how to undo the action, where, and whom to contact if the owner has no " +
				"access",
		},
		{
			id:     "NIST-5.1",
			source: "NIST §5.1",
			text: "a session secret has 64 bits, is issued after authentication, is not readable by scripts, " +
				"and mutations carry a verified identifier",
			implementation: "256 bits; issued by a verify call only; HttpOnly; a CSRF token bound to the session.",
			deviation: "the cookie persists after the browser closes, for as long as the session may last: " +
				"`KEYLODGE_SESSION_TTL` shortens it, see [NIST-2.2.3](#nist-223)",
		},
		{
			id:             "NIST-5.1.1",
			source:         "NIST §5.1.1",
			text:           "cookies: Secure, HttpOnly, `__Host-`, Path=/, SameSite, opaque",
			implementation: "`httpapi.cookies`",
		},
		{
			id:     "NIST-appendix-B",
			source: "NIST appendix B",
			text:   "user verification is checked; synced keys are distinguished",
			implementation: "no sign-in without it; BE and BS are stored, and `amr` is `swk` or `hwk`, so that a service " +
				"can require a device-bound key",
		},
	}},
	{title: "Cheat sheets, RFCs and durability", requirements: []requirement{
		{
			id:             "OWASP-CSRF-double-submit",
			source:         "OWASP, CSRF: signed double submit",
			text:           "a token that is bound to the session",
			implementation: "`httpapi.csrfTokens`, decision 0015",
		},
		{
			id:             "OWASP-CSRF-origin",
			source:         "OWASP, CSRF: Fetch Metadata and Origin",
			text:           "both are checked, and ambiguous requests are rejected",
			implementation: "`httpapi.checkOrigin`, `httpapi.provenance`",
		},
		{
			id:             "OWASP-CSRF-simple-requests",
			source:         "OWASP, CSRF: no simple requests",
			text:           "no simple requests",
			implementation: "JSON and a custom header: `httpapi.requireJSON`, `X-CSRF-Token`",
		},
		{
			id:             "OWASP-sessions-strict",
			source:         "OWASP, sessions: strict",
			text:           "an id that a client invented is not accepted",
			implementation: "sessions, browser cookies and challenges are created by the server only",
		},
		{
			id:             "RFC8725-3.1",
			source:         "RFC 8725, 3.1, 3.2",
			text:           "one algorithm per key; `none` is rejected",
			implementation: "`jwt.keyfunc`",
		},
		{
			id:             "RFC8725-3.8",
			source:         "RFC 8725, 3.8, 3.9, 3.11",
			text:           "issuer, audience and type",
			implementation: "`typ: at+jwt`, compared exactly",
		},
		{
			id:     "RFC8725-3.5",
			source: "RFC 8725, 3.5, 3.10",
			text:   "strong keys; `kid` is only an identifier",
			implementation: "P-256 or Ed25519, from the system's randomness or a checked file; `kid` is compared with " +
				"known ones and is part of no path, query or address",
		},
		{
			id:     "RFC9700-4.14.2",
			source: "RFC 9700 §4.14.2; ASVS 10.4.5, 10.4.8, 10.4.9",
			text:   "refresh tokens rotate, reuse revokes the session, they expire, and users can revoke them",
			implementation: "`domain.Session.Refresh`, decision 0012; after a lost response the same successor is " +
				"returned until it is used, with the documented cost",
		},
		{
			id:             "Durability-crashes",
			source:         "durability: crashes",
			text:           "acknowledged changes survive a kill and a power cut; consumed items stay consumed",
			implementation: "`synchronous=FULL`, responses after the commit; [durability guarantees](../operations/durability.md)",
		},
		{
			id:     "Durability-outages",
			source: "durability: outages",
			text: "a full or failing disk, a lock, a database restart: fail closed, and recover without " +
				"intervention",
			implementation: "every such error is `domain.ErrUnavailable`",
		},
		{
			id:             "Durability-concurrency",
			source:         "durability: concurrency",
			text:           "of several concurrent requests for a single item one succeeds, on each database",
			implementation: "the storage contract, `ports/storetest`, on both",
		},
	}},
}
