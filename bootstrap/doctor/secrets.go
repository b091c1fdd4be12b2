package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
)

func (c *checks) checkSecretFiles(ctx context.Context) {
	// Check secret: the server has a secret that cannot be guessed and that other users of the machine cannot read. With an error
	// it does not start.
	path := c.config.Database.SecretFile()
	_, missing := os.Stat(path)
	switch _, err := c.config.LoadMasterKey(); {
	case c.config.Secret != nil && missing == nil:
		c.AddWarning("secret", "KEYLODGE_SECRET is used, and the secret in "+path+" is not", "remove the one that is not the secret of this database, or move it to KEYLODGE_PREVIOUS_SECRETS")
	case c.config.Secret != nil:
		c.AddOK("secret", "KEYLODGE_SECRET is used")
	case missing != nil && c.config.Database.IsMissing(ctx):
		c.AddOK("secret", path+" does not exist yet; the first start creates it")
	case err != nil:
		c.AddError("secret", err.Error(), "correct this; the server does not start until then")
	default:
		c.AddOK("secret", path+" is readable for its owner only; keep a copy of it elsewhere")
	}
	for i, previous := range c.config.PreviousSecrets {
		if err := previous.CheckStrength(); err != nil {
			c.AddWarning("previous_secrets", fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS %s; while it is set, sessions and tokens can be forged with it", i+1, err),
				"remove it as soon as no data needs it")
		}
	}
}

// checkSecrets reports data that no secret decrypts, and which previous secrets are still needed.
func (c *checks) checkSecrets(ctx context.Context, store ports.Store) {
	// Check secret.decryption: the secrets decrypt all encrypted data. Otherwise a secret was replaced or lost:
	// docs/runbooks/secret-lost.md.
	// Check previous_secrets: each previous secret is still needed. docs/operations/rotate-the-secret.md says until when.
	current, err := c.config.LoadMasterKey()
	if err != nil {
		return // checkSecretFiles has reported it
	}
	var secrets []ports.Sealer
	for _, secret := range append([]masterkey.Key{current}, c.config.PreviousSecrets...) {
		sealer, err := masterkey.NewSealer(secret, nil)
		if err != nil {
			c.AddError("secret", err.Error(), "generate another one with: openssl rand -base64 32")
			return
		}
		secrets = append(secrets, sealer)
	}
	usage, err := (&admin.Service{Store: store}).SecretUsage(ctx, secrets)
	if err != nil {
		c.AddError("secret.decryption", err.Error(), "run keylodge doctor again; if the error persists, restore the newest backup: keylodge restore FILE")
		return
	}
	const addSecret = "add the secret that they were encrypted with to KEYLODGE_PREVIOUS_SECRETS"
	switch {
	case usage.UndecryptableKeys > 0 && len(c.config.ExternalKeys) > 0:
		c.AddWarning("secret.decryption", fmt.Sprintf("%d signing keys in the database cannot be decrypted; the server uses KEYLODGE_JWT_KEY_FILE instead", usage.UndecryptableKeys), addSecret)
	case usage.UndecryptableKeys > 0:
		c.AddError("secret.decryption", fmt.Sprintf("%d signing keys cannot be decrypted, so the server does not start", usage.UndecryptableKeys), addSecret+", or, only if it is lost, replace the keys: keylodge keys rotate")
	case usage.UndecryptableTOTPs > 0:
		c.AddError("secret.decryption", fmt.Sprintf("the secrets of %d authenticator apps cannot be decrypted, so their users cannot recover with them", usage.UndecryptableTOTPs), addSecret)
	default:
		c.AddOK("secret.decryption", "all encrypted data can be decrypted")
	}
	for i := range c.config.PreviousSecrets {
		c.checkPreviousSecret(i, usage)
	}
}

func (c *checks) checkPreviousSecret(i int, usage admin.SecretUsageCounts) {
	which := fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS", i+1)
	var uses []string
	if n := usage.SigningKeys[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d signing keys", n))
	}
	if n := usage.TOTPs[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d authenticator apps", n))
	}
	if len(uses) > 0 {
		c.AddOK("previous_secrets", which+" still decrypts "+strings.Join(uses, " and "))
		return
	}
	advice := fmt.Sprintf("remove it if you replaced it longer ago than a session lasts (%s)", config.FormatDuration(c.config.Sessions.TTL))
	if !usage.OldestBackupCodes.IsZero() {
		advice += " and before " + usage.OldestBackupCodes.Format("2006-01-02") + ", when the oldest remaining backup codes were generated"
	}
	c.AddWarning("previous_secrets", which+" decrypts no data", advice)
}
