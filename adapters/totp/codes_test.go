package totp

import (
	"encoding/base32"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// rfcSecret is the secret of RFC 6238, appendix B.
var rfcSecret = domain.NewSecret(base32.StdEncoding.EncodeToString([]byte("12345678901234567890")))

var codes = New("Keylodge")

// shownAt is a time at which an app with rfcSecret shows 005924. The time step begins 10 seconds before.
var shownAt = time.Unix(1234567890, 0)

const (
	shown     = "005924"
	shownStep = domain.TOTPStep(0x273EF07)
)

// totpCode returns a code without parsing it.
func totpCode(code string) domain.TOTPCode { return domain.TOTPCode{Secret: domain.NewSecret(code)} }

// Requirement: ASVS-6.5.5
func TestStep_RFC6238Vectors(t *testing.T) {
	for at, c := range map[int64]struct {
		code string
		step domain.TOTPStep
	}{
		59:          {"287082", 1},
		1111111109:  {"081804", 0x23523EC},
		1111111111:  {"050471", 0x23523ED},
		1234567890:  {"005924", 0x273EF07},
		2000000000:  {"279037", 0x3F940AA},
		20000000000: {"353130", 0x27BC86AA},
	} {
		if step, err := codes.FindStep(rfcSecret, totpCode(c.code), time.Unix(at, 0)); step != c.step || err != nil {
			t.Errorf("%s at %d: got step %d, %v, want %d", c.code, at, step, err, c.step)
		}
	}
}

// Requirement: ASVS-6.5.5
func TestStep_AllowsOneStepSkew(t *testing.T) {
	begins := time.Unix(int64(shownStep)*30, 0)
	for after, valid := range map[time.Duration]bool{
		-30*time.Second - 1: false,
		-30 * time.Second:   true,
		-1:                  true,
		0:                   true,
		30*time.Second - 1:  true,
		30 * time.Second:    true,
		60*time.Second - 1:  true,
		60 * time.Second:    false,
	} {
		step, err := codes.FindStep(rfcSecret, totpCode(shown), begins.Add(after))
		if valid && (step != shownStep || err != nil) || !valid && (step != 0 || !errors.Is(err, domain.ErrInvalidCode)) {
			t.Errorf("%s after the start of the step: step %d, %v", after, step, err)
		}
	}
}

// At these times rfcSecret has the same code for two of the accepted steps.
// Requirement: ASVS-6.5.5
func TestStep_ReturnsLaterOfTwoMatches(t *testing.T) {
	for name, c := range map[string]struct {
		code   string
		second domain.TOTPStep
	}{
		"adjacent steps":      {"963181", 59061240 + 1},
		"first and last step": {"768734", 61331809 + 2},
	} {
		now := time.Unix(int64(c.second-1)*30, 0)
		if step, err := codes.FindStep(rfcSecret, totpCode(c.code), now); step != c.second || err != nil {
			t.Errorf("%s: got step %d, %v, want %d", name, step, err, c.second)
		}
	}
}

func TestStep_RejectsMalformedCodes(t *testing.T) {
	for _, code := range []string{
		"", "      ", "5924", "05924", "0005924", "89005924", "005924005924",
		"٠٠٥٩٢٤", "００５９２４", "००५९२४", "00592٤", // the same digits in other scripts
		"005-924", "+05924", "-05924", "00592o", "005924\x00", "0x5924", "\xff05924",
	} {
		if step, err := codes.FindStep(rfcSecret, totpCode(code), shownAt); step != 0 || !errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%q: got step %d, %v", code, step, err)
		}
	}
}

func TestStep_RejectsAnyChangedDigit(t *testing.T) {
	for i := range len(shown) {
		for digit := byte('0'); digit <= '9'; digit++ {
			code := []byte(shown)
			code[i] = digit
			if _, err := codes.FindStep(rfcSecret, totpCode(string(code)), shownAt); (err == nil) != (string(code) == shown) {
				t.Errorf("%s: %v", code, err)
			}
		}
	}
}

func TestStep_RejectsOtherSecret(t *testing.T) {
	if _, err := codes.FindStep(codes.DecoySecret(), totpCode(shown), shownAt); !errors.Is(err, domain.ErrInvalidCode) {
		t.Errorf("got %v", err)
	}
}

func TestStep_SecretIsCaseInsensitive(t *testing.T) {
	if step, err := codes.FindStep(domain.NewSecret(strings.ToLower(rfcSecret.Reveal())), totpCode(shown), shownAt); step != shownStep || err != nil {
		t.Errorf("got step %d, %v", step, err)
	}
}

func TestStep_InvalidSecretIsNotPrinted(t *testing.T) {
	for _, secret := range []string{"", "not base32!", "GEZDGNBV1890", rfcSecret.Reveal() + "G"} {
		step, err := codes.FindStep(domain.NewSecret(secret), totpCode(shown), shownAt)
		if step != 0 || err == nil || errors.Is(err, domain.ErrInvalidCode) {
			t.Errorf("%q: got step %d, %v", secret, step, err)
			continue
		}
		if secret != "" && strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("the error contains the secret: %v", err)
		}
	}
}

// Allocations measure the work: a verification that skips one of the three steps allocates a third less. Times would vary too
// much.
// Requirement: ASVS-6.3.8
func TestStep_ConstantWork(t *testing.T) {
	allocations := func(code string, now time.Time) float64 {
		return testing.AllocsPerRun(100, func() { _, _ = codes.FindStep(rfcSecret, totpCode(code), now) })
	}
	wrong := allocations("123456", shownAt)
	for name, now := range map[string]time.Time{
		"the current step":  shownAt,
		"the previous step": shownAt.Add(30 * time.Second),
		"the next step":     shownAt.Add(-30 * time.Second),
		"another step":      shownAt.Add(time.Hour),
	} {
		if right := allocations(shown, now); math.Abs(right-wrong) > wrong/6 {
			t.Errorf("%v allocations for a code of %s, %v for a wrong one", right, name, wrong)
		}
	}
}

func TestDecoy_LooksLikeSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		decoy := codes.DecoySecret()
		raw, err := base32.StdEncoding.DecodeString(decoy.Reveal())
		if err != nil || len(raw) != 20 || seen[decoy.Reveal()] {
			t.Fatalf("%q after %d others: %v", decoy.Reveal(), len(seen), err)
		}
		seen[decoy.Reveal()] = true
	}
}

func BenchmarkStep(b *testing.B) {
	for name, code := range map[string]string{"Right": shown, "Wrong": "123456"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = codes.FindStep(rfcSecret, totpCode(code), shownAt)
			}
		})
	}
}
