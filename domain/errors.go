package domain

import (
	"errors"
	"strings"
)

// Kind classifies errors. Transports map kinds, not single errors, to their own codes.
type Kind uint8

const (
	KindInvalid         Kind = iota + 1 // the request is invalid
	KindUnauthenticated                 // no valid session or token
	KindForbidden                       // authenticated, and not allowed
	KindNotFound                        // does not exist, or belongs to another account
	KindConflict                        // conflicts with existing data
	KindGone                            // existed, and has expired
	KindRejected                        // well-formed, and verification failed
	KindRateLimited                     // too many requests; a retry may succeed later
	KindUnavailable                     // an outage; a retry may succeed later
)

// Error is the violation of a rule. Code is stable and part of the HTTP contract. Message is for people and says what to do next.
type Error struct {
	Kind    Kind
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// The errors of all rules.
var (
	ErrInvalidRequest = &Error{KindInvalid, "invalid_request", "the request is not valid; see errors for the fields to correct"}

	// The same code, so that a client cannot tell a wrong code from a used one or from another user's.
	ErrInvalidCode          = &Error{KindInvalid, "invalid_code", "this code is wrong, was used before, or is locked after too many wrong ones; try another one, or try again later"}
	ErrRecoveryGrantInvalid = &Error{KindInvalid, "invalid_code", "this recovery has expired or was used; start again with another code"}

	ErrUnauthenticated = &Error{KindUnauthenticated, "unauthenticated", "you are not signed in; sign in first"}
	ErrSessionExpired  = &Error{KindUnauthenticated, "session_expired", "this session has expired; sign in again"}
	ErrSessionRevoked  = &Error{KindUnauthenticated, "session_revoked", "this session was revoked; sign in again"}
	// The same code for all defects of an access token. The message differs for an expired one, which the client can refresh.
	ErrAccessTokenInvalid  = &Error{KindUnauthenticated, "unauthenticated", "this access token is not valid here; sign in again"}
	ErrAccessTokenExpired  = &Error{KindUnauthenticated, "unauthenticated", "this access token has expired; refresh it"}
	ErrRefreshTokenInvalid = &Error{KindUnauthenticated, "refresh_token_invalid", "this refresh token is unknown; sign in again"}
	ErrRefreshTokenReused  = &Error{KindUnauthenticated, "refresh_token_reused", "this refresh token was used before, so its session was revoked; sign in again"}
	// The same code for all defects of an authorization code, so that a client cannot tell a wrong code from a used one.
	ErrAuthorizationCodeInvalid = &Error{KindUnauthenticated, "authorization_code_invalid", "this code is wrong, has expired or was used before; sign in again"}
	ErrAuthorizationCodeReused  = &Error{KindUnauthenticated, "authorization_code_invalid", "this code is wrong, has expired or was used before; sign in again"}

	ErrAPIKeyInvalid = &Error{KindUnauthenticated, "api_key_invalid", "this API key is unknown, revoked or has expired; create another one on the server, with keylodge api-keys create"}

	ErrRegistrationClosed = &Error{KindForbidden, "registration_closed", "sign-up is closed here; ask the operator for an account"}
	// Only a client with the token of an invite gets the errors that distinguish its status: a token cannot be guessed.
	ErrInviteRequired      = &Error{KindForbidden, "invite_required", "sign-up needs an invite here; ask the operator for one"}
	ErrInviteInvalid       = &Error{KindForbidden, "invite_invalid", "this invite is unknown; open the complete link, or ask the operator for another invite"}
	ErrInviteUsed          = &Error{KindForbidden, "invite_used", "this invite was used; sign in, or ask the operator for another invite"}
	ErrInviteRevoked       = &Error{KindForbidden, "invite_revoked", "this invite was revoked; ask the operator for another one"}
	ErrInviteExpired       = &Error{KindForbidden, "invite_expired", "this invite has expired; ask the operator for another one"}
	ErrInviteEmailMismatch = &Error{KindForbidden, "invite_email_mismatch", "this invite is for another e-mail address; enter that address, or none"}
	ErrUserDisabled        = &Error{KindForbidden, "user_disabled", "this account is disabled; ask the operator"}
	ErrStepUpRequired      = &Error{KindForbidden, "step_up_required", "this action requires a recent authentication; confirm with your passkey and try again"}
	// ErrForwardAuthNotAllowed is about a request of a reverse proxy.
	ErrForwardAuthNotAllowed = &Error{KindForbidden, "forward_auth_not_allowed", "the host of this request is not an application with forward_auth; add it to KEYLODGE_APPLICATIONS"}
	ErrInsufficientScope     = &Error{KindForbidden, "insufficient_scope", "this API key lacks the scope for this operation; use another key"}
	ErrPasskeySuspended      = &Error{KindForbidden, "passkey_suspended", "this passkey is suspended; sign in with another one"}

	ErrChallengeNotFound = &Error{KindNotFound, "challenge_not_found", "this attempt is unknown or was already used; start again"}
	ErrPasskeyUnknown    = &Error{KindNotFound, "passkey_unknown", "this passkey is not registered here; remove it from your device or use another one"}
	ErrUserNotFound      = &Error{KindNotFound, "not_found", "there is no such user"}
	ErrPasskeyNotFound   = &Error{KindNotFound, "not_found", "your account has no such passkey; list your passkeys again"}
	ErrSessionNotFound   = &Error{KindNotFound, "not_found", "there is no such session, or it has ended; list the sessions again"}

	ErrInviteNotFound = &Error{KindNotFound, "not_found", "there is no such invite; list them again"}
	ErrAPIKeyNotFound = &Error{KindNotFound, "not_found", "there is no such API key; list them again"}

	ErrEmailOff       = &Error{KindNotFound, "not_found", "this server sends no e-mail and verifies no addresses; ask the operator"}
	ErrNoPendingEmail = &Error{KindNotFound, "not_found", "you have no pending e-mail address; set one first"}
	ErrRecoveryOff    = &Error{KindNotFound, "not_found", "recovery is disabled here; ask the operator"}

	ErrEmailTaken               = &Error{KindConflict, "email_taken", "this e-mail address already has an account; sign in instead"}
	ErrPasskeyAlreadyRegistered = &Error{KindConflict, "passkey_already_registered", "this passkey is already registered; sign in with it"}
	ErrPasskeyLimitReached      = &Error{KindConflict, "passkey_limit_reached", "this account has the maximum number of passkeys; remove one first"}
	ErrRecoveryOfDisabledUser   = &Error{KindConflict, "user_disabled", "this account is disabled; enable it first"}
	ErrInviteAlreadyUsed        = &Error{KindConflict, "invite_used", "this invite was used; disable or delete its user instead"}
	ErrInvitesNotAccepted       = &Error{KindConflict, "registration_closed", "sign-up is closed, so that no invite would be accepted; set KEYLODGE_REGISTRATION to invite first"}
	ErrSigningKeysExternal      = &Error{KindConflict, "signing_keys_external", "the signing keys are external; the server cannot rotate them"}
	ErrLastPasskey              = &Error{KindConflict, "last_passkey", "this is the account's only active passkey; add another one first"}

	ErrChallengeExpired = &Error{KindGone, "challenge_expired", "this attempt has expired; start again"}

	ErrPasskeyRejected          = &Error{KindRejected, "passkey_rejected", "the passkey's response was rejected; try again"}
	ErrAuthenticatorNotAccepted = &Error{KindRejected, "passkey_rejected", "passkeys of this device or app are not allowed here; use another one, or ask the operator which are allowed"}
	ErrUserVerificationRequired = &Error{KindRejected, "user_verification_required", "the passkey did not verify you; unlock it with your PIN, fingerprint or face and try again"}

	ErrRateLimited = &Error{KindRateLimited, "rate_limited", "too many attempts; try again later"}

	ErrUnavailable = &Error{KindUnavailable, "unavailable", "the server cannot do this right now; try again in a moment"}
	// Attempts to guess a code are rejected while they cannot be counted.
	ErrLimiterUnavailable = &Error{KindUnavailable, "unavailable", "the server cannot count attempts right now, so it rejects them; try again in a moment"}
)

// InvalidField is an error in one member of a request. Field is its path (credential.response.signature), Code is stable, Message
// is for people.
type InvalidField struct {
	Field   string
	Code    string
	Message string
}

// InvalidInput is ErrInvalidRequest with the invalid fields.
type InvalidInput struct{ Fields []InvalidField }

// Invalid returns an InvalidInput about a single field.
func Invalid(field, code, message string) *InvalidInput {
	return &InvalidInput{Fields: []InvalidField{{field, code, message}}}
}

func (e *InvalidInput) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

func (e *InvalidInput) Unwrap() error { return ErrInvalidRequest }

// JoinInvalid joins the *InvalidInput errors among errs into one, so that a client learns of all invalid fields at once. It returns
// the first error of another type unchanged.
func JoinInvalid(errs ...error) error {
	var all InvalidInput
	for _, err := range errs {
		if err == nil {
			continue
		}
		var invalid *InvalidInput
		if !errors.As(err, &invalid) {
			return err
		}
		all.Fields = append(all.Fields, invalid.Fields...)
	}
	if len(all.Fields) == 0 {
		return nil
	}
	return &all
}
