package domain

import "errors"

// Reason is why a WebAuthn response was rejected, for logs and metrics. The client receives only an error code: the reason would tell
// an attacker which check to defeat next.
type Reason string

const (
	ReasonChallengeMismatch        Reason = "challenge_mismatch"         // the client data contains another challenge
	ReasonOriginNotAllowed         Reason = "origin_not_allowed"         // the origin in the client data is not allowed
	ReasonCrossOrigin              Reason = "cross_origin"               // the page was in a frame of another origin
	ReasonRPIDMismatch             Reason = "rp_id_mismatch"             // the authenticator signed for another RP ID
	ReasonTypeMismatch             Reason = "type_mismatch"              // the type in the client data is that of another ceremony
	ReasonUserPresenceMissing      Reason = "user_presence_missing"      // the UP flag is not set
	ReasonUserVerificationMissing  Reason = "user_verification_missing"  // the UV flag is not set
	ReasonBackupStateInvalid       Reason = "backup_state_invalid"       // the BS flag is set without the BE flag
	ReasonBackupEligibilityChanged Reason = "backup_eligibility_changed" // the BE flag differs from that of the registration
	ReasonAlgorithmNotAllowed      Reason = "algorithm_not_allowed"      // the algorithm or the public key is not accepted
	ReasonAttestationRejected      Reason = "attestation_rejected"       // the attestation is invalid, or the policy rejects the authenticator
	ReasonSignatureInvalid         Reason = "signature_invalid"          // the signature of the assertion is invalid
	ReasonCounterRegressed         Reason = "counter_regressed"          // the signature counter did not increase
	ReasonUserHandleMismatch       Reason = "user_handle_mismatch"       // the passkey was not requested, or the user handle is missing or that of another account
	ReasonMalformed                Reason = "malformed"                  // a member of the response is missing, of the wrong type or not decodable
)

// Reasons lists all reasons.
var Reasons = []Reason{
	ReasonChallengeMismatch,
	ReasonOriginNotAllowed,
	ReasonCrossOrigin,
	ReasonRPIDMismatch,
	ReasonTypeMismatch,
	ReasonUserPresenceMissing,
	ReasonUserVerificationMissing,
	ReasonBackupStateInvalid,
	ReasonBackupEligibilityChanged,
	ReasonAlgorithmNotAllowed,
	ReasonAttestationRejected,
	ReasonSignatureInvalid,
	ReasonCounterRegressed,
	ReasonUserHandleMismatch,
	ReasonMalformed,
}

// Rejection is the error of a rejected WebAuthn response: its cause for the client, and its reason and detail for the log.
type Rejection struct {
	Reason Reason
	Detail string // for the operator; may quote the client's input, but no secret of the server
	err    error
}

// Reject returns a rejection for the given reason.
func Reject(reason Reason, detail string) *Rejection {
	err := ErrPasskeyRejected
	if reason == ReasonUserVerificationMissing {
		err = ErrUserVerificationRequired
	}
	return &Rejection{Reason: reason, Detail: detail, err: err}
}

// RejectMalformed returns the rejection of a response with invalid members. The client learns which: the developer can correct them,
// and they reveal nothing about later checks.
func RejectMalformed(invalid *InvalidInput) *Rejection {
	return &Rejection{Reason: ReasonMalformed, Detail: invalid.Error(), err: invalid}
}

func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Detail }
func (r *Rejection) Unwrap() error { return r.err }

// ReasonOf returns the reason of the *Rejection in err's chain, or "" if there is none.
func ReasonOf(err error) Reason {
	var rejection *Rejection
	if errors.As(err, &rejection) {
		return rejection.Reason
	}
	return ""
}
