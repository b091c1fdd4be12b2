package domain

import "strings"

// Email is an e-mail address in lower case, so that ada@example.org and Ada@Example.org name the same account. The zero value
// is no address.
type Email string

const maxEmailLength = 254 // RFC 5321, section 4.5.3.1.3, without the angle brackets

// ParseEmail parses and canonicalises an address; the empty string is not an error. It accepts the dot-atom form (RFC 5322,
// section 3.2.3) in ASCII, with an internationalised domain in its xn-- form. The domain may have one label, but may not be an
// IP address or an address literal. ParseEmail returns an *InvalidInput for the given field of the request.
func ParseEmail(field, s string) (Email, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	invalid := func(message string) (Email, error) { return "", Invalid(field, "invalid_email", message) }
	if len(s) > maxEmailLength {
		return invalid("the address is longer than 254 characters")
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return invalid("write the address in ASCII; a domain with other characters has an xn-- form")
		}
	}
	local, host, found := strings.Cut(s, "@")
	if !found || !isDotAtom(local) || len(local) > 64 || !isDomainName(host) {
		return invalid("this is not an e-mail address; write it like ada@example.org")
	}
	return Email(strings.ToLower(s)), nil
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

// isDomainName accepts names of one label, as intranets have (RFC 5321, section 4.1.2), and rejects names whose last label is a
// number: they are IP addresses or invalid (URL Standard, ends-in-a-number checker).
func isDomainName(s string) bool {
	label := ""
	for label = range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !isAlphanumeric(r) && r != '-' {
				return false
			}
		}
	}
	return !isNumber(label)
}

// isNumber reports whether a label is a number in decimal digits, or in hexadecimal ones after 0x.
func isNumber(label string) bool {
	label, digits := strings.ToLower(label), "0123456789"
	if hex, found := strings.CutPrefix(label, "0x"); found {
		label, digits = hex, digits+"abcdef"
	}
	return strings.Trim(label, digits) == ""
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
