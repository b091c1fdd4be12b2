package domain_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keylodge/keylodge/domain"
)

const (
	right = "00012345"
	wrong = "54321000"
)

var codeKeys = domain.EmailCodeKeys{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)}

func code(t *testing.T, digits string) domain.EmailCode {
	t.Helper()
	c, err := domain.ParseEmailCode(digits)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// claimed is Ada, who holds ada@example.org and claims ada@example.com by the code.
func claimed(t *testing.T, by domain.EmailCodeKeys) *domain.User {
	t.Helper()
	u := ada(t)
	u.Claim("ada@example.com", by.Digest(u.ID(), code(t, right)), noon)
	return u
}

func shows(t *testing.T, u *domain.User, digits string, now time.Time) error {
	t.Helper()
	return u.Prove(codeKeys.Digests(u.ID(), code(t, digits)), now)
}

func TestTheRightCodeMakesAnAddressTheirs(t *testing.T) {
	u := claimed(t, codeKeys)
	if is := u.Snapshot(); u.PendingEmail() != "ada@example.com" || u.Email() != "ada@example.org" || !u.EmailVerified() ||
		!is.EmailVerifiedAt.Equal(noon) || !is.Claim.ExpiresAt.Equal(noon.Add(30*time.Minute)) || is.Claim.Failures != 0 {
		t.Fatalf("what she holds did not stay hers meanwhile: %+v", is)
	}
	at := noon.Add(time.Minute)
	if err := shows(t, u, right, at); err != nil {
		t.Fatal(err)
	}
	if is := u.Snapshot(); is.Email != "ada@example.com" || !is.EmailVerifiedAt.Equal(at) || is.Claim != (domain.EmailClaim{}) {
		t.Errorf("became %+v", is)
	}
	if err := shows(t, u, right, at); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("the code again: %v", err)
	}
}

func TestWrongCodesAreCountedAndAfterFiveTheRightOneIsWorthNothing(t *testing.T) {
	for failures := range 8 {
		u := claimed(t, codeKeys)
		for range failures {
			if err := shows(t, u, wrong, noon); !errors.Is(err, domain.ErrInvalidCode) {
				t.Fatalf("a wrong code: %v", err)
			}
		}
		if counted := u.Snapshot().Claim.Failures; counted != min(failures, 5) {
			t.Errorf("%d wrong codes: counted %d", failures, counted)
		}
		u = domain.RestoreUser(u.Snapshot()) // the count is kept
		err := shows(t, u, right, noon)
		if failures < 5 && (err != nil || u.Email() != "ada@example.com") {
			t.Errorf("after %d wrong codes: %v", failures, err)
		}
		if failures >= 5 && (!errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" || u.PendingEmail() != "ada@example.com") {
			t.Errorf("after %d wrong codes: %v, %+v", failures, err, u.Snapshot())
		}
	}
}

func TestACodeIsGoodForHalfAnHour(t *testing.T) {
	for after, want := range map[time.Duration]error{
		0: nil, 30*time.Minute - time.Microsecond: nil, 30 * time.Minute: domain.ErrInvalidCode, time.Hour: domain.ErrInvalidCode,
	} {
		u := claimed(t, codeKeys)
		if err := shows(t, u, right, noon.Add(after)); !errors.Is(err, want) {
			t.Errorf("after %s: %v", after, err)
		}
		if want != nil && (u.PendingEmail() != "ada@example.com" || u.Snapshot().Claim.Failures != 0) {
			t.Errorf("after %s the claim became %+v", after, u.Snapshot().Claim)
		}
	}
}

func TestANewClaimTakesThePlaceOfTheOneBefore(t *testing.T) {
	for name, email := range map[string]domain.Email{"the same address": "ada@example.com", "another": "countess@example.org"} {
		u := claimed(t, codeKeys)
		for range 5 {
			_ = shows(t, u, wrong, noon) // until no code counts
		}
		u.Claim(email, codeKeys.Digest(u.ID(), code(t, "99999999")), noon.Add(time.Hour))
		if is := u.Snapshot().Claim; is.Failures != 0 || is.Email != email || !is.ExpiresAt.Equal(noon.Add(90*time.Minute)) {
			t.Errorf("%s: %+v", name, is)
		}
		if err := shows(t, u, right, noon.Add(time.Hour)); !errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" {
			t.Errorf("%s: the code before it: %v, %+v", name, err, u.Snapshot())
		}
		if err := shows(t, u, "99999999", noon.Add(time.Hour)); err != nil || u.Email() != email {
			t.Errorf("%s: its own code: %v, %+v", name, err, u.Snapshot())
		}
	}
}

func TestACodeUnderAFormerKeyIsGood(t *testing.T) {
	if err := shows(t, claimed(t, codeKeys[1:]), right, noon); err != nil {
		t.Errorf("under the former key: %v", err)
	}
	if err := shows(t, claimed(t, domain.EmailCodeKeys{bytes.Repeat([]byte{3}, 32)}), right, noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("under a key that is gone: %v", err)
	}
	// New ones are kept under the first.
	if digests := codeKeys.Digests(adasID, code(t, right)); len(digests) != 2 || digests[0] != codeKeys.Digest(adasID, code(t, right)) || digests[0] == digests[1] {
		t.Errorf("digests %x", digests)
	}
}

// The digits that one person got, say for an address of their own, prove nothing of another's.
func TestACodeIsItsUsersAlone(t *testing.T) {
	u, ben := claimed(t, codeKeys), ada(t)
	if err := u.Prove(codeKeys.Digests(ben.ID(), code(t, right)), noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("got %v", err)
	}
}

// A claim that nobody has a code for is kept with no digest.
func TestWhereThereIsNoCodeNoneIsRight(t *testing.T) {
	u := ada(t)
	u.Claim("ben@example.org", domain.EmailCodeDigest{}, noon)
	for _, digits := range []string{right, "00000000"} {
		if err := shows(t, u, digits, noon); !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%s: %v", digits, err)
		}
	}
	if err := u.Prove(nil, noon); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("nothing: %v", err)
	}
	// Counted like any other, so that it cannot be told apart.
	if is := u.Snapshot().Claim; is.Failures != 3 {
		t.Errorf("counted %d", is.Failures)
	}
	nobody := ada(t)
	if err := nobody.Prove([]domain.EmailCodeDigest{{}}, noon); !errors.Is(err, domain.ErrInvalidCode) || nobody.Email() != "ada@example.org" || nobody.Snapshot().Claim != (domain.EmailClaim{}) {
		t.Errorf("without a claim: %v, %+v", err, nobody.Snapshot())
	}
}

func TestAClaimIsWithdrawn(t *testing.T) {
	u := claimed(t, codeKeys)
	if !u.Withdraw() || u.Withdraw() || u.PendingEmail() != "" {
		t.Errorf("not withdrawn exactly once: %+v", u.Snapshot())
	}
	if err := shows(t, u, right, noon); !errors.Is(err, domain.ErrInvalidCode) || u.Email() != "ada@example.org" || !u.EmailVerified() {
		t.Errorf("afterwards: %v, %+v", err, u.Snapshot())
	}
}

func TestAPasskeyIsNamedForAClaimedAddressWhereThereIsNoOther(t *testing.T) {
	u := ada(t)
	u.Claim("ada@example.com", domain.EmailCodeDigest{}, noon)
	if name := u.Entity().Name; name != "ada@example.org" {
		t.Errorf("held and claimed: %q", name)
	}
	u.MoveTo("")
	if name := u.Entity().Name; name != "ada@example.com" {
		t.Errorf("claimed: %q", name)
	}
}

func TestACodeIsReadAsItIsTypedAndPasted(t *testing.T) {
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

// numbers are what a source of randomness gives, four bytes each.
func numbers(of ...uint32) *bytes.Buffer {
	var raw []byte
	for _, n := range of {
		raw = binary.BigEndian.AppendUint32(raw, n)
	}
	return bytes.NewBuffer(raw)
}

func TestEveryCodeIsAsLikelyAsAnyOther(t *testing.T) {
	const fair = 4_200_000_000 // the greatest multiple of a hundred million in 32 bits
	for want, source := range map[string]*bytes.Buffer{
		"00000000": numbers(0),
		"00000007": numbers(100_000_007), // zeros in front stay
		"12345678": numbers(12_345_678),
		"99999999": numbers(fair - 1),
		"00000042": numbers(fair, fair+1, 1<<32-1, 42), // what would favour some is drawn again
	} {
		c, err := domain.NewEmailCode(source)
		if err != nil || c.Reveal() != want || source.Len() != 0 {
			t.Errorf("got %q, %v; want %q, and %d bytes are left", c.Reveal(), err, want, source.Len())
		}
		if again, err := domain.ParseEmailCode(c.Reveal()); err != nil || again != c {
			t.Errorf("%q cannot be read: %v", c.Reveal(), err)
		}
	}
	for _, source := range []*bytes.Buffer{numbers(), numbers(fair), bytes.NewBuffer([]byte{1, 2, 3})} {
		if c, err := domain.NewEmailCode(source); err == nil || !c.IsZero() {
			t.Errorf("got %q, %v", c.Reveal(), err)
		}
	}
	if c, err := domain.NewEmailCode(iotest.ErrReader(errStumbled)); !errors.Is(err, errStumbled) || !c.IsZero() {
		t.Errorf("without randomness: %q, %v", c.Reveal(), err)
	}
}

func TestACodeIsNotPrinted(t *testing.T) {
	if c := code(t, right); strings.Contains(fmt.Sprintf("%v %+v %#v %s", c, c, c, c), right) {
		t.Errorf("printed: %v", c)
	}
}

func TestACodeGoesToTheClaimedAddressAndIsNoUseLonger(t *testing.T) {
	u, id := claimed(t, codeKeys), messageID(t)
	want := domain.MessageSnapshot{
		ID: id, UserID: u.ID(), To: "ada@example.com", Kind: domain.MessageEmailCode, Code: []byte("sealed"),
		About: domain.MessageFacts{At: noon}, DueAt: noon, ExpiresAt: noon.Add(30 * time.Minute),
	}
	if got := domain.NewEmailCodeMessage(id, u, []byte("sealed"), noon).Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// It says nothing of who claimed the address, nor from where.
func TestTheOwnerOfAClaimedAddressIsTold(t *testing.T) {
	u, id := ada(t), messageID(t)
	want := domain.MessageSnapshot{
		ID: id, UserID: u.ID(), To: "ada@example.org", Kind: domain.MessageAddressTaken,
		About: domain.MessageFacts{At: noon}, DueAt: noon, ExpiresAt: noon.Add(4 * 24 * time.Hour),
	}
	if got := domain.NewAddressTakenMessage(id, u, noon).Snapshot(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
