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

func (e *checks) checkSecretFiles(ctx context.Context) {
	path := e.config.Database.SecretFile()
	_, missing := os.Stat(path)
	switch _, err := e.config.LoadMasterKey(); {
	case e.config.Secret != nil && missing == nil:
		e.AddWarning("secret", "KEYLODGE_SECRET is used, and "+path+", which is there too, is not", "remove the one that is not the secret of this database, or name it in KEYLODGE_PREVIOUS_SECRETS")
	case e.config.Secret != nil:
		e.AddOK("secret", "it comes from KEYLODGE_SECRET")
	case missing != nil && e.config.Database.IsMissing(ctx):
		e.AddOK("secret", "there is no "+path+" yet; the first start makes it")
	case err != nil:
		e.AddError("secret", err.Error(), "without it the server does not start: bring it back from where you keep it")
	default:
		e.AddOK("secret", path+" is for its owner alone; keep a copy of it elsewhere")
	}
	for i, former := range e.config.PreviousSecrets {
		if err := former.CheckStrength(); err != nil {
			e.AddWarning("previous_secrets", fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS %s, and with it sessions and tokens can be forged while it is there", i+1, err),
				"take it out as soon as nothing needs it")
		}
	}
}

// checkSecrets finds out what the secrets, present and former, are still needed for.
func (e *checks) checkSecrets(ctx context.Context, store ports.Store) {
	present, err := e.config.LoadMasterKey()
	if err != nil {
		return // told already
	}
	var secrets []ports.Sealer
	for _, secret := range append([]masterkey.Key{present}, e.config.PreviousSecrets...) {
		sealer, err := masterkey.NewSealer(secret, nil)
		if err != nil {
			e.AddError("secret", err.Error(), "make another one with: openssl rand -base64 32")
			return
		}
		secrets = append(secrets, sealer)
	}
	needs, err := (&admin.Service{Store: store}).SecretUsage(ctx, secrets)
	if err != nil {
		e.AddError("secret.opens", err.Error(), "run this again; if it goes on, restore the newest backup: keylodge restore FILE")
		return
	}
	const bringBack = "bring the secret that they were sealed under back in KEYLODGE_PREVIOUS_SECRETS"
	switch {
	case needs.UndecryptableKeys > 0 && len(e.config.ExternalKeys) > 0:
		e.AddWarning("secret.opens", fmt.Sprintf("%d signing keys in the database cannot be opened; those in KEYLODGE_JWT_KEY_FILE do without them", needs.UndecryptableKeys), bringBack)
	case needs.UndecryptableKeys > 0:
		e.AddError("secret.opens", fmt.Sprintf("%d signing keys cannot be opened, and the server does not start", needs.UndecryptableKeys), bringBack+", or, if it is lost for good, give them up: keylodge keys rotate")
	case needs.UndecryptableTOTPs > 0:
		e.AddError("secret.opens", fmt.Sprintf("%d authenticator apps cannot be checked, so their owners cannot recover with them", needs.UndecryptableTOTPs), bringBack)
	default:
		e.AddOK("secret.opens", "it opens all that is sealed")
	}
	for i := range e.config.PreviousSecrets {
		e.checkPreviousSecret(i, needs)
	}
}

func (e *checks) checkPreviousSecret(i int, needs admin.SecretUsageCounts) {
	which := fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS", i+1)
	var uses []string
	if n := needs.SigningKeys[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d signing keys", n))
	}
	if n := needs.TOTPs[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d authenticator apps", n))
	}
	if len(uses) > 0 {
		e.AddOK("previous_secrets", which+" still opens "+strings.Join(uses, " and "))
		return
	}
	advice := fmt.Sprintf("take it out if you replaced it longer ago than sessions last (%s)", config.FormatDuration(e.config.Sessions.TTL))
	if !needs.OldestBackupCodes.IsZero() {
		advice += " and before " + needs.OldestBackupCodes.Format("2006-01-02") + ", since when all backup codes that are left were made"
	}
	e.AddWarning("previous_secrets", which+" opens nothing that is sealed any more", advice)
}
