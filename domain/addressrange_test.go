package domain_test

import (
	"errors"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

func TestAddressRange_Contains(t *testing.T) {
	for _, c := range []struct {
		text, ip string
		want     bool
	}{
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "::ffff:192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"192.0.2.9/24", "192.0.2.7", true},
		{"192.0.2.0/24", "192.0.3.0", false},
		{"2001:db8::/32", "2001:db8:1::7", true},
		{"2001:db8::/32", "2001:db9::", false},
		{"::ffff:192.0.2.7", "192.0.2.7", true},
		{"0.0.0.0/0", "192.0.2.7", true},
		{"0.0.0.0/0", "2001:db8::7", false},
		{"::/0", "", false},
		{"::/0", "unknown", false},
		{"fe80::/10", "fe80::1%eth0", true},
	} {
		parsed, err := domain.ParseAddressRange("addresses", c.text)
		if err != nil || parsed.Contains(c.ip) != c.want {
			t.Errorf("%s contains %q: %t, %v", c.text, c.ip, !c.want, err)
		}
	}
	var zero domain.AddressRange
	if zero.Contains("192.0.2.7") || zero.Contains("") {
		t.Error("the zero range contains an address")
	}
}

func TestParseAddressRange_RejectsOtherTexts(t *testing.T) {
	for _, text := range []string{"", "*", "192.0.2", "192.0.2.0/33", "192.0.2.0/", "example.org", "fe80::1%eth0", "::ffff:192.0.2.0/120", "192.0.2.7,192.0.2.8", " 192.0.2.7"} {
		var invalid *domain.InvalidInput
		if got, err := domain.ParseAddressRange("addresses", text); !errors.As(err, &invalid) || invalid.Fields[0].Field != "addresses" {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
