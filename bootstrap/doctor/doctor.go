// Package doctor checks an installation as its settings describe it, and says how to correct what is wrong.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/maintenance"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/ports"
	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Run executes the checks in the order in which they depend on each other. If the settings are invalid, it reports only their
// errors.
func Run(ctx context.Context, options dbadmin.CheckOptions) dbadmin.CheckResults {
	// Check settings: every setting is valid. With an error the server does not start, and the doctor skips all other checks.
	cfg, err := config.Load()
	if err != nil {
		return settingsResults(err)
	}
	c := &checks{config: cfg, options: options}
	c.AddOK("settings", "valid")
	for _, check := range []func(context.Context){
		c.checkRelyingParty,
		c.checkOrigins,
		c.checkAuthenticators,
		c.checkWellKnown,
		c.checkListeners,
		c.checkProxies,
		c.checkSecretFiles,
		c.checkMail,
		c.checkRateLimits,
		c.checkStorage,
	} {
		if ctx.Err() != nil {
			break
		}
		check(ctx)
	}
	return c.CheckResults
}

// checks contains the configuration and the results of the checks.
type checks struct {
	dbadmin.CheckResults
	config  config.Config
	options dbadmin.CheckOptions
}

func settingsResults(err error) (results dbadmin.CheckResults) {
	var errs config.SettingErrors
	if !errors.As(err, &errs) {
		results.AddError("settings", err.Error(), "correct the settings; docs/reference/settings.md lists them")
		return results
	}
	for _, err := range errs {
		results.AddError("settings", err.Setting+": "+err.Problem, err.Fix)
	}
	results.AddWarning("settings", "the other checks were skipped", "correct the settings and run keylodge doctor again")
	return results
}

// checkStorage inspects the database, and checks its content if it is intact and has the schema of this release.
func (c *checks) checkStorage(ctx context.Context) {
	// Check database.open: the server can open the database. With an error it does not start.
	database := c.config.Database.Maintenance()
	inspection := database.Inspect(ctx, system.Clock{}.Now(), c.options)
	c.CheckResults = append(c.CheckResults, inspection...)
	if inspection.HasErrors() || c.config.Database.IsMissing(ctx) {
		return
	}
	status, err := database.Status(ctx)
	if err != nil {
		c.AddError("database.schema", err.Error(), "run keylodge doctor again")
		return
	}
	if slices.ContainsFunc(status, func(m dbadmin.Migration) bool { return !m.Applied }) {
		return // Open would apply the pending migrations
	}
	store, err := c.config.Database.Open(ctx)
	if err != nil {
		c.AddError("database.open", err.Error(), "correct this and run keylodge doctor again")
		return
	}
	defer store.Close()
	// Each of these checks reads a whole table.
	c.withProgress("checking the RP IDs of passkeys", func() { c.checkPasskeys(ctx, store) })
	c.withProgress("checking passkeys against the policy", func() { c.checkNonCompliantPasskeys(ctx, store) })
	c.withProgress("checking encrypted data", func() { c.checkSecrets(ctx, store) })
}

// withProgress runs a check. It reports the progress once a second, without numbers.
func (c *checks) withProgress(stage dbadmin.Stage, run func()) {
	if c.options.Progress == nil {
		run()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); run() }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.options.Progress(dbadmin.Progress{Stage: stage})
		case <-done:
			c.options.Progress(dbadmin.Progress{Stage: stage, Done: 1, Total: 1})
			return
		}
	}
}

func (c *checks) checkPasskeys(ctx context.Context, store ports.Store) {
	// Check passkeys: the passkeys in the database have the RP ID of the settings. Passkeys of another RP ID cannot sign in:
	// browsers offer a passkey only for its own RP ID.
	service := &maintenance.Service{Store: store, RPIDs: maintenance.RPIDs{Current: c.config.RPID, Retired: c.config.RetiredRPIDs}}
	retired, err := service.CheckRPID(ctx)
	if changed, is := errors.AsType[*maintenance.RPIDChangedError](err); is {
		c.AddError("passkeys", err.Error()+"; the server does not start", c.config.RPIDAdvice(changed.RPIDs()))
		return
	}
	if err != nil {
		c.AddError("passkeys", err.Error(), "run keylodge doctor again")
		return
	}
	for _, id := range c.config.RetiredRPIDs {
		if passkeys := retired[id]; passkeys > 0 {
			c.AddWarning("passkeys", fmt.Sprintf("%d passkeys of the retired RP ID %s cannot sign in", passkeys, id),
				"their owners recover their accounts themselves, or with a link from: keylodge users recover USER")
		} else {
			c.AddWarning("passkeys", "no passkey has the retired RP ID "+id, "remove it from KEYLODGE_RETIRED_RP_IDS")
		}
	}
	c.AddOK("passkeys", "all passkeys that can sign in have the RP ID "+c.config.RPID)
}
