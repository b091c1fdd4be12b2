package totp

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// FuzzStep compares FindStep with a second implementation of RFC 6238.
func FuzzStep(f *testing.F) {
	for _, seed := range []string{shown, " 005 924 ", "005924\n", "5924", "0059240", "٠٠٥٩٢٤", "+05924", "00592\x004", "", "005\u2009924"} {
		f.Add(seed, shownAt.Unix())
	}
	for _, at := range []int64{59, 60, 89, 90, 1111111109, 20000000000} {
		f.Add("287082", at)
	}
	f.Fuzz(func(t *testing.T, code string, at int64) {
		if at < 60 || at > 1<<40 {
			return
		}
		step, err := codes.FindStep(rfcSecret, totpCode(code), time.Unix(at, 0))
		var valid int64
		for near := at/30 - 1; near <= at/30+1; near++ {
			if rfc6238(near) == code {
				valid = near // the latest
			}
		}
		switch {
		case valid == 0 && (!errors.Is(err, domain.ErrInvalidCode) || step != 0):
			t.Fatalf("%q at %d: step %d, %v", code, at, step, err)
		case valid != 0 && (err != nil || step != domain.TOTPStep(valid)):
			t.Fatalf("%q at %d: step %d, %v, want %d", code, at, step, err, valid)
		}
	})
}

func rfc6238(step int64) string {
	mac := hmac.New(sha1.New, []byte("12345678901234567890"))
	_ = binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}
