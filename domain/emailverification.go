package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// PendingEmail is an address that a user has entered and not yet verified. It identifies no account until the user enters the code
// that was sent to it. The zero value is no address.
type PendingEmail struct {
	Email     Email           `export:"email"`
	Code      EmailCodeDigest `export:"code"`
	Failures  int             `export:"failures"`
	ExpiresAt time.Time       `export:"expires_at"` // of the code; the user can request another code later
}

// EmailCode is a verification code of eight digits.
type EmailCode struct{ Secret }

// EmailCodeDigest is the stored form of an e-mail code: an HMAC, since eight digits have too few values for a hash without a key.
type EmailCodeDigest [sha256.Size]byte

const (
	emailCodeTTL         = 30 * time.Minute
	emailCodeLength      = 8
	maxEmailCodeFailures = 5 // of 10^8 codes
)

// NewEmailCode returns a new code.
func NewEmailCode(random io.Reader) EmailCode {
	const codes = 100_000_000
	const unbiased = (1 << 32) / codes * codes // greater numbers would favour some codes
	for {
		var raw [4]byte
		readRandom(random, raw[:])
		if n := binary.BigEndian.Uint32(raw[:]); n < unbiased {
			return EmailCode{NewSecret(fmt.Sprintf("%0*d", emailCodeLength, n%codes))}
		}
	}
}

// ParseEmailCode parses a typed code, normalized by normalizeCode. It returns ErrInvalidCode for anything else.
func ParseEmailCode(s string) (EmailCode, error) {
	digits := normalizeCode(s)
	if len(digits) != emailCodeLength || strings.Trim(digits, "0123456789") != "" {
		return EmailCode{}, ErrInvalidCode
	}
	return EmailCode{NewSecret(digits)}, nil
}

// Digest returns the digest of a new code of the user.
func (c EmailCode) Digest(keys KeyRing[EmailCode], user UserID) EmailCodeDigest {
	return c.Digests(keys[:1], user)[0]
}

// Digests returns the digest of the user's code under each key.
func (c EmailCode) Digests(keys KeyRing[EmailCode], user UserID) []EmailCodeDigest {
	digests := make([]EmailCodeDigest, len(keys))
	for i, mac := range keys.MACs([]byte("e-mail code\x00"), user.uuid[:], []byte(c.Reveal())) {
		digests[i] = EmailCodeDigest(mac)
	}
	return digests
}

// RequestEmail sets the pending address with the digest of its code, and replaces an earlier one. The verified address does not
// change.
func (u *User) RequestEmail(email Email, code EmailCodeDigest, now time.Time) {
	u.state.PendingEmail = PendingEmail{Email: email, Code: code, ExpiresAt: now.Add(emailCodeTTL)}
}

// PendingEmail returns the address that is not yet verified, or "".
func (u *User) PendingEmail() Email { return u.state.PendingEmail.Email }

// CancelEmailRequest removes the pending address and reports whether there was one.
func (u *User) CancelEmailRequest() bool {
	wasPending := u.state.PendingEmail.Email != ""
	u.state.PendingEmail = PendingEmail{}
	return wasPending
}

// VerifyEmail turns the pending address into the verified one if one of the digests matches its code. Otherwise it returns
// ErrInvalidCode and counts the failure; after five failures the code is invalid. The caller saves the user in both cases.
func (u *User) VerifyEmail(digests []EmailCodeDigest, now time.Time) error {
	pending := &u.state.PendingEmail
	if pending.Email == "" || !now.Before(pending.ExpiresAt) || pending.Failures >= maxEmailCodeFailures {
		return ErrInvalidCode
	}
	matches := false
	for _, d := range digests {
		matches = hmac.Equal(d[:], pending.Code[:]) || matches
	}
	if !matches {
		pending.Failures++
		return ErrInvalidCode
	}
	u.state.Email, u.state.EmailVerifiedAt = pending.Email, now
	u.state.PendingEmail = PendingEmail{}
	return nil
}

// NewAddressTakenEmail returns the e-mail that informs the owner of an address that another user requested it.
func NewAddressTakenEmail(id OutboxEmailID, owner *User, now time.Time) *OutboxEmail {
	return &OutboxEmail{OutboxEmailState{
		ID: id, UserID: owner.ID(), To: owner.Email(), Locale: owner.Locale(), Kind: EmailKindAddressTaken,
		Details: EmailDetails{At: now}, DueAt: now, ExpiresAt: now.Add(notificationTTL),
	}}
}

// NewVerificationEmail returns the e-mail with the encrypted code to the user's pending address. It expires with the code.
func NewVerificationEmail(id OutboxEmailID, user *User, encryptedCode []byte, now time.Time) *OutboxEmail {
	pending := user.state.PendingEmail
	return &OutboxEmail{OutboxEmailState{
		ID: id, UserID: user.ID(), To: pending.Email, Locale: user.Locale(), Kind: EmailKindVerificationCode, Code: slices.Clone(encryptedCode),
		Details: EmailDetails{At: now}, DueAt: now, ExpiresAt: pending.ExpiresAt,
	}}
}
