package domain_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const (
	right = "00012345"
	wrong = "54321000"
)

var codeKeys = domain.KeyRing[domain.EmailCode]{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}

func code(t *testing.T, digits string) domain.EmailCode {
	t.Helper()
	c, err := domain.ParseEmailCode(digits)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// userWithPendingEmail returns Ada with the verified address ada@example.org and the pending address ada@example.com.
func userWithPendingEmail(t *testing.T, by domain.KeyRing[domain.EmailCode]) *domain.User {
	t.Helper()
	u := ada(t)
	u.RequestEmail("ada@example.com", code(t, right).Digest(by, u.ID()), noon)
	return u
}

func verifyEmail(t *testing.T, u *domain.User, digits string, now time.Time) error {
	t.Helper()
	return u.VerifyEmail(code(t, digits).Digests(codeKeys, u.ID()), now)
}

func TestUser_VerifyEmail(t *testing.T) {
	u := userWithPendingEmail(t, codeKeys)
	if is := u.State(); u.PendingEmail() != "ada@example.com" || u.Email() != "ada@example.org" || !u.EmailVerified() ||
		!is.EmailVerifiedAt.Equal(noon) || !is.PendingEmail.ExpiresAt.Equal(noon.Add(30*time.Minute)) || is.PendingEmail.Failures != 0 {
		t.Fatalf("the pending request changed the verified address: %+v", is)
	}
	at := noon.Add(time.Minute)
	if err := verifyEmail(t, u, right, at); err != nil {
		t.Fatal(err)
	}
	if is := u.State(); is.Email != "ada@example.com" || !is.EmailVerifiedAt.Equal(at) || is.PendingEmail != (domain.PendingEmail{}) {
		t.Errorf("verified: %+v", is)
	}
	if err := verifyEmail(t, u, right, at); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("the same code again: %v", err)
	}
}

func TestUser_VerifyEmail_fiveWrongCodes(t *testing.T) {
	for failures := range 8 {
		u := userWithPendingEmail(t, codeKeys)
		for range failures {
			if err := verifyEmail(t, u, wrong, noon); !errors.Is(err, domain.ErrInvalidCode) {
				t.Fatalf("a wrong code: %v", err)
			}
		}
		if counted := u.State().PendingEmail.Failures; counted != min(failures, 5) {
			t.Errorf("%d wrong codes: counted %d", failures, counted)
		}
		u = domain.RestoreUser(u.State()) // the count is stored
		err := verifyEmail(t, u, right, noon)
		if failures < 5 && (err != nil || u.Email() != "ada@example.com") {
			t.Errorf("after %d wrong codes: %v", failures, err)
		}
		if failures >= 5 && (!errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" || u.PendingEmail() != "ada@example.com") {
			t.Errorf("after %d wrong codes: %v, %+v", failures, err, u.State())
		}
	}
}

func TestUser_VerifyEmail_expiry(t *testing.T) {
	for after, want := range map[time.Duration]error{
		0: nil, 30*time.Minute - time.Microsecond: nil, 30 * time.Minute: domain.ErrInvalidCode, time.Hour: domain.ErrInvalidCode,
	} {
		u := userWithPendingEmail(t, codeKeys)
		if err := verifyEmail(t, u, right, noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: %v", after, err)
		}
		if want != nil && (u.PendingEmail() != "ada@example.com" || u.State().PendingEmail.Failures != 0) {
			t.Errorf("after %s the request is %+v", after, u.State().PendingEmail)
		}
	}
}

func TestUser_RequestEmail_replacesPending(t *testing.T) {
	for name, email := range map[string]domain.Email{"the same address": "ada@example.com", "another": "countess@example.org"} {
		u := userWithPendingEmail(t, codeKeys)
		for range 5 {
			_ = verifyEmail(t, u, wrong, noon) // until the code is invalid
		}
		u.RequestEmail(email, code(t, "99999999").Digest(codeKeys, u.ID()), noon.Add(time.Hour))
		if is := u.State().PendingEmail; is.Failures != 0 || is.Email != email || !is.ExpiresAt.Equal(noon.Add(90*time.Minute)) {
			t.Errorf("%s: %+v", name, is)
		}
		if err := verifyEmail(t, u, right, noon.Add(time.Hour)); !errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" {
			t.Errorf("%s: the previous code: %v, %+v", name, err, u.State())
		}
		if err := verifyEmail(t, u, "99999999", noon.Add(time.Hour)); err != nil || u.Email() != email {
			t.Errorf("%s: the new code: %v, %+v", name, err, u.State())
		}
	}
}

func TestUser_VerifyEmail_previousKey(t *testing.T) {
	if err := verifyEmail(t, userWithPendingEmail(t, codeKeys[1:]), right, noon); err != nil {
		t.Errorf("with the previous key: %v", err)
	}
	if err := verifyEmail(t, userWithPendingEmail(t, domain.KeyRing[domain.EmailCode]{bytes.Repeat([]byte{3}, 32)}), right, noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("with a removed key: %v", err)
	}
	// New digests use the first key.
	if digests := code(t, right).Digests(codeKeys, adasID); len(digests) != 2 || digests[0] != code(t, right).Digest(codeKeys, adasID) || digests[0] == digests[1] {
		t.Errorf("digests %x", digests)
	}
}

// A digest contains the user, so that a code of one user verifies no address of another.
func TestUser_VerifyEmail_otherUsersCode(t *testing.T) {
	u, ben := userWithPendingEmail(t, codeKeys), ada(t)
	if err := u.VerifyEmail(code(t, right).Digests(codeKeys, ben.ID()), noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("got %v", err)
	}
}

// The request of an address that another account has is stored without a digest.
func TestUser_VerifyEmail_withoutCode(t *testing.T) {
	u := ada(t)
	u.RequestEmail("ben@example.org", domain.EmailCodeDigest{}, noon)
	for _, digits := range []string{right, "00000000"} {
		if err := verifyEmail(t, u, digits, noon); !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%s: %v", digits, err)
		}
	}
	if err := u.VerifyEmail(nil, noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("nothing: %v", err)
	}
	// Failures are counted as in any other request, so that it looks the same.
	if is := u.State().PendingEmail; is.Failures != 3 {
		t.Errorf("counted %d", is.Failures)
	}
	withoutRequest := ada(t)
	if err := withoutRequest.VerifyEmail([]domain.EmailCodeDigest{{}}, noon); !errors.Is(err, domain.ErrInvalidCode) || withoutRequest.Email() != "ada@example.org" || withoutRequest.State().PendingEmail != (domain.PendingEmail{}) {
		t.Errorf("without a request: %v, %+v", err, withoutRequest.State())
	}
}

func TestUser_CancelEmailRequest(t *testing.T) {
	u := userWithPendingEmail(t, codeKeys)
	if !u.CancelEmailRequest() || u.CancelEmailRequest() || u.PendingEmail() != "" {
		t.Errorf("not canceled exactly once: %+v", u.State())
	}
	if err := verifyEmail(t, u, right, noon); !errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" || !u.EmailVerified() {
		t.Errorf("afterwards: %v, %+v", err, u.State())
	}
}

func TestUser_Entity_pendingEmail(t *testing.T) {
	u := ada(t)
	u.RequestEmail("ada@example.com", domain.EmailCodeDigest{}, noon)
	if name := u.Entity().Name; name != "ada@example.org" {
		t.Errorf("verified and pending: %q", name)
	}
	u.SetEmail("")
	if name := u.Entity().Name; name != "ada@example.com" {
		t.Errorf("pending: %q", name)
	}
}

func TestParseEmailCode_Spellings(t *testing.T) {
	for _, typed := range []string{
		right, "0001 2345", "0001-2345", " 00012345 ", "000\t123\u00a045", "0 0 0 1 2 3 4 5", strings.Repeat("-", 248) + right, "00012345\n",
	} {
		if c, err := domain.ParseEmailCode(typed); err != nil || c.Reveal() != right {
			t.Errorf("%q: %q, %v", typed, c.Reveal(), err)
		}
	}
	for _, typed := range []string{
		"", "1", "0001234", "000123456", "0001234x", "0001234O", "0001_2345", "+0012345", "-0012345", "0001.234",
		"\x0000012345", strings.Repeat("-", 249) + right, strings.Repeat("0", 1<<20),
	} {
		if c, err := domain.ParseEmailCode(typed); !errors.Is(err, domain.ErrInvalidCode) || !c.IsZero() {
			t.Errorf("%q: %q, %v", typed[:min(len(typed), 40)], c.Reveal(), err)
		}
	}
}

// randomNumbers returns a random source that yields the numbers, four bytes each.
func randomNumbers(numbers ...uint32) *bytes.Buffer {
	var raw []byte
	for _, n := range numbers {
		raw = binary.BigEndian.AppendUint32(raw, n)
	}
	return bytes.NewBuffer(raw)
}

// Requirement: ASVS-6.5.3
func TestNewEmailCode_Uniform(t *testing.T) {
	const unbiased = 4_200_000_000 // the greatest multiple of 10^8 in 32 bits
	for want, source := range map[string]*bytes.Buffer{
		"00000000": randomNumbers(0),
		"00000007": randomNumbers(100_000_007), // with leading zeros
		"12345678": randomNumbers(12_345_678),
		"99999999": randomNumbers(unbiased - 1),
		"00000042": randomNumbers(unbiased, unbiased+1, 1<<32-1, 42), // skips numbers that would favour some codes
	} {
		c := domain.NewEmailCode(source)
		if c.Reveal() != want || source.Len() != 0 {
			t.Errorf("got %q, want %q, and %d bytes are left", c.Reveal(), want, source.Len())
		}
		if again, err := domain.ParseEmailCode(c.Reveal()); err != nil || again != c {
			t.Errorf("%q cannot be read: %v", c.Reveal(), err)
		}
	}
}

func TestEmailCode_NotPrinted(t *testing.T) {
	if c := code(t, right); strings.Contains(fmt.Sprintf("%v %+v %#v %s", c, c, c, c), right) {
		t.Errorf("printed: %v", c)
	}
}

func TestNewVerificationEmail(t *testing.T) {
	u, id := userWithPendingEmail(t, codeKeys), outboxEmailID(t)
	want := domain.OutboxEmailState{
		ID: id, UserID: u.ID(), To: "ada@example.com", Kind: domain.EmailKindVerificationCode, Code: []byte("encrypted"),
		Details: domain.EmailDetails{At: noon}, DueAt: noon, ExpiresAt: noon.Add(30 * time.Minute),
	}
	if got := domain.NewVerificationEmail(id, u, []byte("encrypted"), noon).State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// It does not identify the user who requested the address, nor their device.
func TestNewAddressTakenEmail(t *testing.T) {
	u, id := ada(t), outboxEmailID(t)
	want := domain.OutboxEmailState{
		ID: id, UserID: u.ID(), To: "ada@example.org", Kind: domain.EmailKindAddressTaken,
		Details: domain.EmailDetails{At: noon}, DueAt: noon, ExpiresAt: noon.Add(4 * 24 * time.Hour),
	}
	if got := domain.NewAddressTakenEmail(id, u, noon).State(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
