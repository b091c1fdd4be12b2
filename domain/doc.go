// Package domain holds the aggregates and rules of Keylodge. It imports the standard library only, and reads no clock and no
// source of randomness: the caller of an aggregate passes both.
//
// # The language
//
//   - A ceremony consists of two calls, options and verify. A [Challenge] is its state on the server, issued for one [Purpose] and
//     bound to one browser. The first answer consumes it.
//   - A [Credential] is the credential record of W3C WebAuthn. Pages and e-mails call it a passkey.
//   - A [User] owns credentials. A [PendingUser] has begun to sign up and has no account yet.
//   - A [Session] is a sign-in that lasts. A browser presents it by a [SessionToken], an app by an [AccessToken], which a
//     [RefreshToken] renews. A step-up is a ceremony inside a session that authenticates its user again.
//   - An [Application] is a website that users sign in to with this server. It gets a session of its own by an [AuthorizationCode].
//   - An [Event] is an entry of an account's audit log.
//   - A code of an authenticator app ([TOTP]) or a [BackupCode] yields a [RecoveryGrant], which authorises the registration of one
//     passkey.
//
// docs/reference/glossary.md defines all terms.
//
// # The rules
//
//   - A challenge is redeemed only for its purpose, by its browser, in its session, and before it expires: [Challenge.Redeem].
//     The storage contract requires that it is consumed once.
//   - Every response has user presence, user verification, and consistent backup flags: [AuthenticatorFlags.Verify].
//   - The authenticator of a new passkey complies with the policy: [AuthenticatorPolicy.Check].
//   - The signature counter of a device-bound passkey increases: [Credential.RecordUse], [CounterPolicy].
//   - The backup eligibility of a passkey does not change: [Credential.RecordUse], [BackupEligibilityPolicy].
//   - A suspended passkey is rejected: [Credential.RecordUse].
//   - A session ends when it is idle, at its maximum age, or when it is revoked: [Session.RequireActive].
//   - A refresh token is single-use. The reuse of an earlier one revokes its session: [Session.Refresh].
//   - A sensitive action requires a recent authentication with a passkey: [AuthContext.RequireRecentAuth], [Session.StepUp].
//   - A step-up replaces the session's token; tokens from before it are not recent: [Session.StepUp], [Session.TokenRotatedSince].
//   - An account has a limited number of passkeys, and keeps one that is not suspended: [Passkeys.CheckLimit], [Passkeys.Remove].
//   - A disabled account is rejected: [User.RequireEnabled].
//   - An access token does not outlive its session, and states its audience: [AccessPolicy.AccessClaims],
//     [AccessPolicy.ServiceClaims].
//   - A signing key is published before it signs, and for as long as its tokens are valid: [SigningKeys].
//   - A TOTP code is accepted once, and no code of an earlier time step after it: [TOTP.Accept].
//   - Users return to addresses of the operator's applications only: [Applications.ParseReturnTo].
//   - An authorization code is redeemed once, by the client that sent the user, while the session that issued it is unchanged; a second
//     redemption revokes what the first gave: [AuthorizationCode.Redeem].
//   - A recovery grant is not a session. The session that it leads to requires a step-up: [RecoveryGrant], [Session.MarkRecovered].
//   - Failed recovery attempts delay the next one: [Lockout].
//   - Requests are limited by network and by account, so that an attacker cannot block the owner: [RateClass], [RateLimits].
//   - If e-mail is sent, an address is pending until its code is shown: [User.RequestEmail], [User.VerifyEmail].
//   - A change of how an account can be opened is reported to its verified address: [NotificationKind].
//   - Events are kept, anonymised, when their user is deleted: ports.Users.Remove.
//   - A user handle contains no data about its user: [NewUserHandle].
//   - Options for an unknown e-mail address look like those of a known one: [Decoys].
//   - A secret is never printed: [Secret].
//
// errors.go lists the errors of these rules, rejection.go the reasons of rejected WebAuthn responses.
package domain
