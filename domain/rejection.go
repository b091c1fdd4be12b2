package domain

import "errors"

// Reason is why a ceremony was rejected: a closed set, for the log, the metrics and their readers. An anonymous caller sees only the
// code of the error that goes with it, since a reason tells a forger which check to work on next.
type Reason string

const (
	ReasonChallengeMismatch        Reason = "challenge_mismatch"
	ReasonOriginNotAllowed         Reason = "origin_not_allowed"
	ReasonCrossOrigin              Reason = "cross_origin"
	ReasonRPIDMismatch             Reason = "rp_id_mismatch"
	ReasonTypeMismatch             Reason = "type_mismatch"
	ReasonUserPresenceMissing      Reason = "user_presence_missing"
	ReasonUserVerificationMissing  Reason = "user_verification_missing"
	ReasonBackupStateInvalid       Reason = "backup_state_invalid"
	ReasonBackupEligibilityChanged Reason = "backup_eligibility_changed"
	ReasonAlgorithmNotAllowed      Reason = "algorithm_not_allowed"
	ReasonAttestationRejected      Reason = "attestation_rejected"
	ReasonSignatureInvalid         Reason = "signature_invalid"
	ReasonCounterRegressed         Reason = "counter_regressed"
	ReasonUserHandleMismatch       Reason = "user_handle_mismatch"
	ReasonMalformed                Reason = "malformed"
)

// Reasons are all of them.
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

// Rejection is a refused ceremony: the error that its caller sees, and the reason and detail that only the log does.
type Rejection struct {
	Reason Reason
	Detail string // for the operator; may quote what the client sent, never a secret of the server
	err    error
}

// Reject refuses a ceremony for the given reason.
func Reject(reason Reason, detail string) *Rejection {
	err := ErrPasskeyRejected
	if reason == ReasonUserVerificationMissing {
		err = ErrUserVerificationRequired
	}
	return &Rejection{Reason: reason, Detail: detail, err: err}
}

// RejectMalformed refuses an answer that has the wrong members or types, or base64 that is none. Its caller hears which: that is
// a program's mistake to correct, and tells a forger nothing about the checks to come.
func RejectMalformed(faults *InvalidInput) *Rejection {
	return &Rejection{Reason: ReasonMalformed, Detail: faults.Error(), err: faults}
}

func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Detail }
func (r *Rejection) Unwrap() error { return r.err }

// ReasonOf returns the reason in err's chain, or "" if no ceremony was rejected.
func ReasonOf(err error) Reason {
	var rejection *Rejection
	if errors.As(err, &rejection) {
		return rejection.Reason
	}
	return ""
}
