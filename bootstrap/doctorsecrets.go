package bootstrap

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/keylodge/keylodge/adapters/masterkey"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/ports"
)

func (e *examination) lookAtSecretFiles(ctx context.Context) {
	path := e.config.Database.secretFile()
	_, missing := os.Stat(path)
	switch _, err := presentSecret(e.config); {
	case e.config.Secret != nil && missing == nil:
		e.Warn("secret", "KEYLODGE_SECRET is used, and "+path+", which is there too, is not", "remove the one that is not the secret of this database, or name it in KEYLODGE_PREVIOUS_SECRETS")
	case e.config.Secret != nil:
		e.OK("secret", "it comes from KEYLODGE_SECRET")
	case missing != nil && e.config.Database.isMissing(ctx):
		e.OK("secret", "there is no "+path+" yet; the first start makes it")
	case err != nil:
		e.Fault("secret", err.Error(), "without it the server does not start: bring it back from where you keep it")
	default:
		e.OK("secret", path+" is for its owner alone; keep a copy of it elsewhere")
	}
	for i, former := range e.config.PreviousSecrets {
		if err := former.CheckStrength(); err != nil {
			e.Warn("previous_secrets", fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS %s, and with it sessions and tokens can be forged while it is there", i+1, err),
				"take it out as soon as nothing needs it")
		}
	}
}

// lookAtSecrets finds out what the secrets, present and former, are still needed for.
func (e *examination) lookAtSecrets(ctx context.Context, store ports.Store) {
	present, err := presentSecret(e.config)
	if err != nil {
		return // told already
	}
	var secrets []ports.Sealer
	for _, secret := range append([]masterkey.Key{present}, e.config.PreviousSecrets...) {
		sealer, err := masterkey.NewSealer(secret, nil)
		if err != nil {
			e.Fault("secret", err.Error(), "make another one with: openssl rand -base64 32")
			return
		}
		secrets = append(secrets, sealer)
	}
	needs, err := (&admin.SecretUse{Store: store}).Execute(ctx, secrets)
	if err != nil {
		e.Fault("secret.opens", err.Error(), "run this again; if it goes on, restore the newest backup: keylodge restore FILE")
		return
	}
	const bringBack = "bring the secret that they were sealed under back in KEYLODGE_PREVIOUS_SECRETS"
	switch {
	case needs.LostKeys > 0 && len(e.config.Brought) > 0:
		e.Warn("secret.opens", fmt.Sprintf("%d signing keys in the database cannot be opened; those in KEYLODGE_JWT_KEY_FILE do without them", needs.LostKeys), bringBack)
	case needs.LostKeys > 0:
		e.Fault("secret.opens", fmt.Sprintf("%d signing keys cannot be opened, and the server does not start", needs.LostKeys), bringBack+", or, if it is lost for good, give them up: keylodge keys rotate")
	case needs.LostApps > 0:
		e.Fault("secret.opens", fmt.Sprintf("%d authenticator apps cannot be checked, so their owners cannot recover with them", needs.LostApps), bringBack)
	default:
		e.OK("secret.opens", "it opens all that is sealed")
	}
	for i := range e.config.PreviousSecrets {
		e.lookAtPreviousSecret(i, needs)
	}
}

func (e *examination) lookAtPreviousSecret(i int, needs admin.SecretNeeds) {
	which := fmt.Sprintf("number %d of KEYLODGE_PREVIOUS_SECRETS", i+1)
	var uses []string
	if n := needs.Keys[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d signing keys", n))
	}
	if n := needs.Apps[i+1]; n > 0 {
		uses = append(uses, fmt.Sprintf("%d authenticator apps", n))
	}
	if len(uses) > 0 {
		e.OK("previous_secrets", which+" still opens "+strings.Join(uses, " and "))
		return
	}
	advice := fmt.Sprintf("take it out if you replaced it longer ago than sessions last (%s)", short(e.config.Sessions.TTL))
	if !needs.OldestCodes.IsZero() {
		advice += " and before " + needs.OldestCodes.Format("2006-01-02") + ", since when all backup codes that are left were made"
	}
	e.Warn("previous_secrets", which+" opens nothing that is sealed any more", advice)
}
