package domain

import (
	"errors"
	"strings"
)

// Kind says what sort of failure an Error is. Transports map kinds, never single errors, to their own vocabulary.
type Kind uint8

const (
	KindInvalid         Kind = iota + 1 // the request itself is wrong
	KindUnauthenticated                 // nobody is signed in, or no longer
	KindForbidden                       // known, and not allowed
	KindNotFound                        // no such thing, or not yours
	KindConflict                        // it clashes with what is there
	KindGone                            // it was there and its time is over
	KindRejected                        // well-formed, and the proof does not hold
	KindRateLimited                     // too often; the same call may succeed after a while
	KindUnavailable                     // not now; the same call may succeed later
)

// Error is a rule that can be broken. Code is stable and part of the HTTP contract; Message is for people and says
// what to do next.
type Error struct {
	Kind    Kind
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// Every rule that can be broken.
var (
	ErrInvalidRequest = &Error{KindInvalid, "invalid_request", "the request is not valid; see errors for the fields to correct"}

	// A code that is wrong, spent, somebody else's or nobody's looks the same from outside.
	ErrInvalidCode          = &Error{KindInvalid, "invalid_code", "this code is not right, was used before, or is locked after too many wrong ones; try another one, or try again later"}
	ErrRecoveryGrantInvalid = &Error{KindInvalid, "invalid_code", "this recovery is over or was used; start again with another code"}

	ErrUnauthenticated = &Error{KindUnauthenticated, "unauthenticated", "nobody is signed in; sign in first"}
	ErrSessionExpired  = &Error{KindUnauthenticated, "session_expired", "this session has expired; sign in again"}
	ErrSessionRevoked  = &Error{KindUnauthenticated, "session_revoked", "this session was ended; sign in again"}
	// Every fault of an access token looks the same from outside but its age, which its holder can mend.
	ErrAccessTokenInvalid  = &Error{KindUnauthenticated, "unauthenticated", "this access token is not valid here; sign in again"}
	ErrAccessTokenExpired  = &Error{KindUnauthenticated, "unauthenticated", "this access token has expired; refresh it"}
	ErrRefreshTokenInvalid = &Error{KindUnauthenticated, "refresh_token_invalid", "this refresh token is not known here; sign in again"}
	ErrRefreshTokenReused  = &Error{KindUnauthenticated, "refresh_token_reused", "this refresh token was used before, so its session was ended; sign in again"}

	ErrRegistrationClosed = &Error{KindForbidden, "registration_closed", "sign-up is closed here; ask the operator for an account"}
	ErrUserDisabled       = &Error{KindForbidden, "user_disabled", "this account is disabled; ask the operator"}
	ErrStepUpRequired     = &Error{KindForbidden, "step_up_required", "this needs a fresh proof that it is you; confirm with your passkey and try again"}
	ErrPasskeySuspended   = &Error{KindForbidden, "passkey_suspended", "this passkey is suspended; sign in with another one"}

	ErrChallengeNotFound = &Error{KindNotFound, "challenge_not_found", "this attempt is not known here or was already used; start again"}
	ErrPasskeyUnknown    = &Error{KindNotFound, "passkey_unknown", "this passkey is not registered here; remove it from your device or use another one"}
	ErrUserNotFound      = &Error{KindNotFound, "not_found", "there is no such user"}
	ErrPasskeyNotFound   = &Error{KindNotFound, "not_found", "you have no such passkey; list yours again"}
	ErrSessionNotFound   = &Error{KindNotFound, "not_found", "there is no such session, or it has ended; list them again"}

	ErrEmailOff       = &Error{KindNotFound, "not_found", "this server sends no mail, so it verifies no address; ask the operator"}
	ErrNoPendingEmail = &Error{KindNotFound, "not_found", "no e-mail address of yours waits for a code; set one first"}
	ErrRecoveryOff    = &Error{KindNotFound, "not_found", "recovery is switched off here; ask the operator"}

	ErrEmailTaken               = &Error{KindConflict, "email_taken", "this e-mail address has an account already; sign in instead"}
	ErrPasskeyAlreadyRegistered = &Error{KindConflict, "passkey_already_registered", "this passkey is registered already; sign in with it"}
	ErrPasskeyLimitReached      = &Error{KindConflict, "passkey_limit_reached", "this account has as many passkeys as it may; remove one first"}
	ErrLastPasskey              = &Error{KindConflict, "last_passkey", "this is the only passkey that opens the account; add another one first"}

	ErrChallengeExpired = &Error{KindGone, "challenge_expired", "this attempt has expired; start again"}

	ErrPasskeyRejected          = &Error{KindRejected, "passkey_rejected", "the passkey's answer could not be accepted; try again"}
	ErrAuthenticatorNotAccepted = &Error{KindRejected, "passkey_rejected", "passkeys of this device or app are not accepted here; use another one, or ask the operator which"}
	ErrUserVerificationRequired = &Error{KindRejected, "user_verification_required", "the passkey did not check that it is you; unlock it with your PIN, fingerprint or face and try again"}

	ErrRateLimited = &Error{KindRateLimited, "rate_limited", "too many attempts; try again later"}

	ErrUnavailable = &Error{KindUnavailable, "unavailable", "the server cannot do this right now; try again in a moment"}
	// What can be guessed is shut while nobody can count the guesses.
	ErrLimiterUnavailable = &Error{KindUnavailable, "unavailable", "the server cannot count attempts right now, so it takes none of these; try again in a moment"}
)

// InvalidField says what is wrong with one member of a request. Field is its path (credential.response.signature),
// Code is stable, Message is for people.
type InvalidField struct {
	Field   string
	Code    string
	Message string
}

// InvalidInput is ErrInvalidRequest with the fields that made it so.
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

// JoinInvalid joins the field faults among errs into one InvalidInput, so that a caller hears of all of them at once. Any
// other error among them is returned as it is, first.
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
