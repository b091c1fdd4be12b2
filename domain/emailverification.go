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

// PendingEmail is an address that a user says is theirs. It names no account and belongs to nobody until the code that was
// sent to it is shown. The zero value is none.
type PendingEmail struct {
	Email     Email           `export:"email"`
	Code      EmailCodeDigest `export:"code"`
	Failures  int             `export:"failures"`
	ExpiresAt time.Time       `export:"expires_at"` // of the code; the claim stays and can get another one
}

// EmailCode proves an address: eight digits.
type EmailCode struct{ Secret }

// EmailCodeDigest is what the server keeps of an e-mail code: an HMAC under a key of its own, since eight digits are soon
// tried through.
type EmailCodeDigest [sha256.Size]byte

const (
	emailCodeTTL         = 30 * time.Minute
	emailCodeLength      = 8
	maxEmailCodeFailures = 5 // tries, of a hundred million codes
)

// NewEmailCode draws a code.
func NewEmailCode(random io.Reader) EmailCode {
	const codes = 100_000_000
	const fair = (1 << 32) / codes * codes // above it some codes would be likelier than others
	for {
		var raw [4]byte
		readRandom(random, raw[:])
		if n := binary.BigEndian.Uint32(raw[:]); n < fair {
			return EmailCode{NewSecret(fmt.Sprintf("%0*d", emailCodeLength, n%codes))}
		}
	}
}

// ParseEmailCode reads a code as normalizeCode does. It returns ErrInvalidCode for anything that cannot be one.
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

// RequestEmail notes that the user says the address is theirs, in the place of what they claimed before. What they hold stays
// theirs meanwhile.
func (u *User) RequestEmail(email Email, code EmailCodeDigest, now time.Time) {
	u.state.PendingEmail = PendingEmail{Email: email, Code: code, ExpiresAt: now.Add(emailCodeTTL)}
}

// PendingEmail is the address that waits for its code; "" if none does.
func (u *User) PendingEmail() Email { return u.state.PendingEmail.Email }

// CancelEmailRequest forgets the claim and reports whether there was one.
func (u *User) CancelEmailRequest() bool {
	claimed := u.state.PendingEmail.Email != ""
	u.state.PendingEmail = PendingEmail{}
	return claimed
}

// VerifyEmail makes the claimed address the user's if one of the digests is its code's. Otherwise it returns ErrInvalidCode, and
// counts: after five wrong ones the code is worth nothing. Save the user in either case.
func (u *User) VerifyEmail(digests []EmailCodeDigest, now time.Time) error {
	claim := &u.state.PendingEmail
	if claim.Email == "" || !now.Before(claim.ExpiresAt) || claim.Failures >= maxEmailCodeFailures {
		return ErrInvalidCode
	}
	right := false
	for _, d := range digests {
		right = hmac.Equal(d[:], claim.Code[:]) || right
	}
	if !right {
		claim.Failures++
		return ErrInvalidCode
	}
	u.state.Email, u.state.EmailVerifiedAt = claim.Email, now
	u.state.PendingEmail = PendingEmail{}
	return nil
}

// NewAddressTakenEmail tells the owner of an address that somebody else claimed it.
func NewAddressTakenEmail(id OutboxEmailID, owner *User, now time.Time) *OutboxEmail {
	return &OutboxEmail{OutboxEmailState{
		ID: id, UserID: owner.ID(), To: owner.Email(), Kind: EmailKindAddressTaken,
		Details: EmailDetails{At: now}, DueAt: now, ExpiresAt: now.Add(notificationTTL),
	}}
}

// NewVerificationEmail brings the code of a claim to its address. The code is sealed; it is of no use longer than the claim.
func NewVerificationEmail(id OutboxEmailID, claimant *User, sealed []byte, now time.Time) *OutboxEmail {
	claim := claimant.state.PendingEmail
	return &OutboxEmail{OutboxEmailState{
		ID: id, UserID: claimant.ID(), To: claim.Email, Kind: EmailKindVerificationCode, Code: slices.Clone(sealed),
		Details: EmailDetails{At: now}, DueAt: now, ExpiresAt: claim.ExpiresAt,
	}}
}
