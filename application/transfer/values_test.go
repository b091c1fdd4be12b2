package transfer

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
)

// filledState returns a state in which every field has a different value, so that the tests cover a new field of the domain.
func filledState[S any](t *testing.T, name string) S {
	t.Helper()
	random := rand.NewChaCha8(sha256.Sum256([]byte(name)))
	var s S
	n := 0
	var fill func(path string, v reflect.Value)
	fill = func(path string, v reflect.Value) {
		n++
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
			v.Set(reflect.ValueOf(noon.Add(time.Duration(n) * (time.Hour + time.Microsecond))))
		case v.Type() == reflect.TypeFor[domain.UserID]():
			v.Set(reflect.ValueOf(domain.NewUserID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.SessionID]():
			v.Set(reflect.ValueOf(domain.NewSessionID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.EventID]():
			v.Set(reflect.ValueOf(domain.NewEventID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.APIKeyID]():
			v.Set(reflect.ValueOf(domain.NewAPIKeyID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.InviteID]():
			v.Set(reflect.ValueOf(domain.NewInviteID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.OutboxEmailID]():
			v.Set(reflect.ValueOf(domain.NewOutboxEmailID(noon, random)))
		case v.Type() == reflect.TypeFor[domain.RepetitionKey](): // unique, as an id is
			var key domain.RepetitionKey
			random.Read(key[:])
			v.Set(reflect.ValueOf(key))
		case v.Type() == reflect.TypeFor[domain.CredentialID]() || v.Type() == reflect.TypeFor[domain.UserHandle]():
			v.SetString(fmt.Sprintf("\x00\xff\xc3\x28%d", n))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				fill(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Type() == reflect.TypeFor[domain.CredentialStatus]():
			v.Set(reflect.ValueOf(domain.CredentialSuspended))
		case v.Type() == reflect.TypeFor[domain.Transport]():
			v.Set(reflect.ValueOf(domain.TransportBearer))
		case v.Type() == reflect.TypeFor[domain.Actor]():
			v.Set(reflect.ValueOf(domain.ActorOperator))
		case v.Type() == reflect.TypeFor[domain.EmailKind](): // the one with a code
			v.Set(reflect.ValueOf(domain.EmailKindVerificationCode))
		case strings.HasSuffix(path, ".Extensions"): // JSON, which the database checks
			v.SetBytes(fmt.Appendf(nil, "[%d]", n))
		case v.Kind() == reflect.String:
			v.SetString(fmt.Sprintf("%d <☺> \"\\\u2028\ufffd", n))
		case v.Kind() == reflect.Bool:
			v.SetBool(true)
		case v.CanInt():
			v.SetInt(int64(n))
		case v.CanUint():
			v.SetUint(uint64(n))
		case v.Type() == reflect.TypeFor[[]string]():
			v.Set(reflect.ValueOf([]string{"b", "a, \"odd\" one"}))
		case v.Type() == reflect.TypeFor[domain.Groups]():
			v.Set(reflect.ValueOf(domain.Groups{"admin", "staff"}))
		case v.Type() == reflect.TypeFor[[]byte]():
			v.SetBytes([]byte{0, 0xff, byte(n)})
		case v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8:
			for i := range v.Len() {
				v.Index(i).SetUint(uint64(n + i))
			}
		default:
			t.Fatalf("%s has the unsupported type %s", path, v.Type())
		}
	}
	fill(reflect.TypeFor[S]().Name(), reflect.ValueOf(&s).Elem())
	return s
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// roundTrip writes a line and reads it again.
func roundTrip(t *testing.T, l line) line {
	t.Helper()
	text, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), "\n") != 1 || !strings.HasSuffix(string(text), "\n") {
		t.Errorf("the text is not one line: %q", text)
	}
	decoded, err := decode(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return decoded
}

func requireEqual[S any](t *testing.T, got, want S) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("decoded another value:\n got %+v\nwant %+v", got, want)
	}
}

func TestValues_RoundTrip(t *testing.T) {
	u := filledState[domain.UserState](t, "user")
	key := filledState[passkey](t, "key")
	s := filledState[domain.SessionState](t, "session")
	s.RevokedAt = time.Time{} // an export has active sessions only
	app := filledState[domain.TOTPState](t, "app")
	e := filledState[domain.EventState](t, "event")
	key.UserID, s.UserID, app.UserID, e.UserID = u.ID, u.ID, u.ID, u.ID

	r := &user{UserState: u, Passkeys: []passkey{key}, Sessions: []domain.SessionState{s}, TOTP: &app, Events: []domain.EventState{e}}
	decoded := roundTrip(t, line{User: r}).User
	requireEqual(t, decoded.owned(), *r)

	log := roundTrip(t, line{Events: &events{UserID: u.ID, Before: e.ID, List: []domain.EventState{e}}}).Events
	log.List[0].UserID = log.UserID
	requireEqual(t, log.List[0], e)
	requireEqual(t, log.Before, e.ID)

	m := filledState[domain.OutboxEmailState](t, "e-mail")
	requireEqual(t, roundTrip(t, line{OutboxEmails: &outboxEmails{After: m.ID, List: []domain.OutboxEmailState{m}}}).OutboxEmails.List[0], m)

	signing := filledState[domain.SigningKeyState](t, "signing key")
	requireEqual(t, *roundTrip(t, line{SigningKey: &signing}).SigningKey, signing)

	invite := filledState[domain.InviteState](t, "invite")
	requireEqual(t, *roundTrip(t, line{Invite: &invite}).Invite, invite)

	l := filledState[domain.LockoutState](t, "lockout")
	requireEqual(t, *roundTrip(t, line{Lockout: &l}).Lockout, l)
}

// owned sets the owner of all records, which a line has only once, and returns the user.
func (r *user) owned() user {
	for i := range r.Passkeys {
		r.Passkeys[i].UserID = r.ID
	}
	for i := range r.Sessions {
		r.Sessions[i].UserID = r.ID
	}
	for i := range r.Events {
		r.Events[i].UserID = r.ID
	}
	if r.TOTP != nil {
		r.TOTP.UserID = r.ID
	}
	return *r
}

func TestValues_ZeroRoundTrip(t *testing.T) {
	u := domain.UserState{ID: domain.NewUserID(noon, rand.NewChaCha8([32]byte{})), Handle: "x", CreatedAt: noon}
	key := passkey{CredentialState: domain.CredentialState{ID: "x", UserID: u.ID, CreatedAt: noon}}
	s := domain.SessionState{UserID: u.ID, AuthTime: domain.NoAuthTime}
	s.CreatedAt, s.LastSeenAt, s.IdleEndsAt, s.ExpiresAt = noon, noon, noon, noon
	e := domain.EventState{UserID: u.ID, At: noon}
	r := &user{UserState: u, Passkeys: []passkey{key}, Sessions: []domain.SessionState{s}, Events: []domain.EventState{e}}
	requireEqual(t, roundTrip(t, line{User: r}).User.owned(), *r)
	m := domain.OutboxEmailState{ID: filledState[domain.OutboxEmailState](t, "").ID, DueAt: noon, ExpiresAt: noon}
	requireEqual(t, roundTrip(t, line{OutboxEmails: &outboxEmails{List: []domain.OutboxEmailState{m}}}).OutboxEmails.List[0], m)
}

// An export fails if a value would be imported differently.
func TestLine_EncodeRejectsLossyValues(t *testing.T) {
	good := filledState[domain.UserState](t, "user")
	latin1, nanosecond, tooLong := good, good, good
	latin1.DisplayName = "Andr\xe9"
	nanosecond.CreatedAt = noon.Add(time.Nanosecond)
	tooLong.DisplayName = domain.DisplayName(strings.Repeat("x", maxLineLength))
	if _, err := (line{User: &user{UserState: good}}).encode(); err != nil {
		t.Error(err)
	}
	for name, s := range map[string]domain.UserState{"text that is not UTF-8": latin1, "nanoseconds": nanosecond, "too long a line": tooLong} {
		if _, err := (line{User: &user{UserState: s}}).encode(); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestLine_DecodeRejectsOtherEncodings(t *testing.T) {
	l := filledState[domain.LockoutState](t, "lockout")
	good := must(line{Lockout: &l}.encode())
	if _, err := decode(good); err != nil {
		t.Fatal(err)
	}
	text := string(good)
	replaced := func(old, by string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("no %s in %s", old, text)
		}
		return strings.Replace(text, old, by, 1)
	}
	for name, bad := range map[string]string{
		"an unknown member":           replaced(`"failures"`, `"colour":"red","failures"`),
		"a missing member":            replaced(`"failures":3,`, ``),
		"a duplicate member":          replaced(`"failures"`, `"failures":1,"failures"`),
		"a member in upper case":      replaced(`"failures"`, `"Failures"`),
		"an unknown line":             replaced(`"lockout"`, `"knockout"`),
		"no member":                   "{}\n",
		"two members":                 `{"signing_key":{"id":"","algorithm":"","encrypted_key":"","created_at":"2026-11-23T12:00:00.000000Z","signs_from":"2026-11-23T12:00:00.000000Z"},` + text[1:],
		"an array":                    "[]\n",
		"two objects":                 replaced("}}", "}}{}"),
		"white space":                 replaced(`"failures":`, `"failures": `),
		"padded base64":               replaced(`"subject":"`, `"subject":"=`),
		"a shorter digest":            replaced(`"subject":"A`, `"subject":"`),
		"a time of another zone":      replaced(`Z","updated`, `+00:00","updated`),
		"a time without microseconds": strings.NewReplacer(`.000005Z`, `Z`).Replace(text),
		"no line feed":                strings.TrimSuffix(text, "\n"),
		"two line feeds":              text + "\n",
	} {
		if bad == text {
			t.Errorf("%s: the replacement changed nothing in %s", name, text)
		}
		if got, err := decode([]byte(bad)); err == nil {
			t.Errorf("%s was decoded: %s as %+v", name, bad, got)
		} else if name == "an unknown member" && !strings.Contains(err.Error(), "colour") {
			t.Errorf("the error does not name the member: %v", err)
		}
	}
}

func TestKeys_FingerprintsRevealNoKey(t *testing.T) {
	keys := keyRing{[]byte("0123456789abcdef0123456789abcdef"), []byte("another")}
	all := fingerprints(keys)
	if len(all) != 2 || slices.Equal(all[0], all[1]) || strings.Contains(string(all[0]), "0123") || len(all[0]) != fingerprintLength {
		t.Errorf("%x", all)
	}
}
