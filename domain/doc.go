// Package domain holds the rules of Keylodge and nothing else: it imports the standard library only, reads no clock and
// draws no randomness. Whoever calls an aggregate brings the time and the source of random bytes.
//
// # The language
//
// A ceremony is two calls: options and verify. Between them stands a [Challenge], the server's side of it, issued for
// one [Purpose], bound to one browser and spent by the first answer. A [Credential] is what the W3C calls it; people see
// a passkey. A [User] owns credentials; an [PendingUser] is somebody who is about to. A [Session] is a sign-in that lasts,
// opened by a credential and carried by a [SessionToken], or, for a program, by a [RefreshToken] and the [AccessToken] that
// it renews. A step-up is a ceremony inside a session: the same person, proved again. What happens to an account is an
// [Event] in its owner's log. Recovery codes, of an authenticator app ([TOTP]) or from paper ([BackupCode]), buy a [RecoveryGrant],
// and a grant buys one passkey.
//
// # The rules
//
//   - A challenge is redeemed for the purpose it was issued for, by the browser and in the session it was issued to, before it
//     expires: [Challenge.Redeem]. That it is redeemed once is a promise of storage.
//   - Every answer proves presence and verification of its user, and possible backup flags: [AuthenticatorFlags.Verify].
//   - The authenticator of a new passkey is one that is taken here: [AuthenticatorPolicy.Check].
//   - The counter of a device-bound passkey advances: [Credential.RecordUse], [CounterPolicy].
//   - Backup eligibility never changes: [Credential.RecordUse], [BackupEligibilityPolicy].
//   - A suspended passkey signs nobody in: [Credential.RecordUse].
//   - A session ends: idle, at its absolute age, or when it is revoked: [Session.RequireActive].
//   - A refresh token is good once; one that comes back ends its session: [Session.Refresh].
//   - What changes who can open an account, or where its owner is told of that, needs a passkey's fresh proof:
//     [Session.Fresh], [Session.StepUp].
//   - Such a proof is nobody's who copied the session's token before it: [Session.Renew].
//   - An account has so many passkeys and never none that opens it: [Passkeys.CheckLimit], [Passkeys.Remove].
//   - A shut account lets nobody in: [User.RequireEnabled].
//   - An access token never outlives its session, and is for whom it says: [AccessPolicy.Claims].
//   - A signing key is known before it signs and for as long as its tokens live: [SigningKeys].
//   - A code of an app is accepted once, and none before it any more: [TOTP.Accept].
//   - A grant is no session, and its session is not fresh: [RecoveryGrant], [Session.MarkRecovered].
//   - Whoever guesses recovery codes waits: [Lockout].
//   - Whoever calls too often waits, and keeps nobody else from signing in: [RateClass], [RateLimits].
//   - Where mail is sent, an address is nobody's until its code is shown: [User.RequestEmail], [User.VerifyEmail].
//   - Whoever can open an account is told what changes that, at an address that is theirs: [NotificationKind].
//   - An event outlives its user, without a name: ports.Users.Remove.
//   - A user handle says nothing about its user: [NewUserHandle].
//   - An unknown e-mail address looks like a known one: [Decoys].
//   - A secret is never printed: [Secret].
//
// Everything that can go wrong by these rules is listed in errors.go; why a ceremony was refused in rejection.go.
package domain
