package domain_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/keylodge/keylodge/domain"
)

// Stored digests and tokens outlive an upgrade of the server. The values were computed with Python's hmac module.
func TestKeyRing_StableValues(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	user, err := domain.ParseUserID("01a206fa-f19b-71aa-8eee-8e90a9bc70db")
	if err != nil {
		t.Fatal(err)
	}
	_, grant := domain.NewRecoveryGrant(user, nil, domain.BackupCodeDigest{}, domain.KeyRing[domain.RecoveryGrantToken]{key}, noon, bytes.NewReader(make([]byte, 32)))
	lockouts, limits := domain.LockoutKey(key), domain.RateKey(key)
	decoy := domain.Decoys{Keys: [][]byte{key}, Limit: 1}.Descriptors("ada@example.org")[0]
	for name, c := range map[string]struct{ got, want string }{
		"backup code":         {fmt.Sprintf("%x", backupCode(t, formattedCode).Digest(domain.KeyRing[domain.BackupCode]{key})), "0f6d97c798d01f90e99ba4f560c4a577057f88bd261130276fcd4e54c12dd371"},
		"e-mail code":         {fmt.Sprintf("%x", code(t, right).Digest(domain.KeyRing[domain.EmailCode]{key}, user)), "08ad149b46384a9c01f0aeb7e4d60dd6da04adfdfeda409f34c1b900405d5e03"},
		"grant token":         {grant.Reveal(), "klg_3NHMu8SeOyUoq0mxr26vhjqW8HEezly66nR0UPVKKpw"},
		"decoy":               {decoy.ID.String(), "fdBC-zDym4Z58fmQa0dv8ppuFX8"},
		"unknown name":        {fmt.Sprintf("%x", lockouts.UnknownName("ada@example.org")), "79c45a77dd9a78fbdf875e39d21f5abe78b00ea4d765a2b40dd2adcba6cdc3bd"},
		"name and network":    {fmt.Sprintf("%x", lockouts.NameAndNetwork("ada@example.org", "192.0.2.7")), "862069e2f8a6ad3b23cde2af11fa6ea06dd701d4dab22aaf49e121204329601c"},
		"network":             {fmt.Sprintf("%x", lockouts.Network("192.0.2.7")), "65346ef5bf05d2b592150387a8f277a823e9d303a6f9138f76c87a7f4cabfbac"},
		"mailbox":             {fmt.Sprintf("%x", lockouts.Mailbox("ada@example.org")), "bd7e6498edb7ef52b4b24e8ac456b8211dede2e2770949905e8f9993b143371f"},
		"bucket of a network": {fmt.Sprintf("%x", limits.Network("login", "192.0.2.7")), "f79ad3f1f645116a41c22ed714e4e5f4"},
		"bucket of a name":    {fmt.Sprintf("%x", limits.NameAndNetwork("login-account", "ada@example.org", "192.0.2.7")), "422381c830047c73b28bf1f3e01b6c21"},
		"bucket of a user":    {fmt.Sprintf("%x", limits.User("login-account", user)), "d25872f331efbf53cfa16d40a5bf9ab8"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", name, c.got, c.want)
		}
	}
}

func TestKeyRing_Verify(t *testing.T) {
	previous, rotated := domain.KeyRing[domain.SessionID]{[]byte("previous")}, domain.KeyRing[domain.SessionID]{[]byte("current"), []byte("previous")}
	signature := previous.Sign("message")
	for name, c := range map[string]struct {
		keys      domain.KeyRing[domain.SessionID]
		message   string
		signature string
		want      bool
	}{
		"of its key":         {previous, "message", signature, true},
		"of a previous key":  {rotated, "message", signature, true},
		"of the current key": {rotated[:1], "message", rotated.Sign("message"), true},
		"of a removed key":   {rotated[:1], "message", signature, false},
		"of another message": {previous, "messag", signature, false},
		"cut short":          {previous, "message", signature[:len(signature)-1], false},
		"empty":              {previous, "message", "", false},
		"without keys":       {nil, "message", signature, false},
	} {
		if got := c.keys.Verify(c.message, c.signature); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
