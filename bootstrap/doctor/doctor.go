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
	cfg, err := config.Load()
	if err != nil {
		return settingsResults(err)
	}
	e := &checks{config: cfg, options: options}
	e.AddOK("settings", "valid")
	for _, check := range []func(context.Context){
		e.checkRelyingParty,
		e.checkOrigins,
		e.checkAuthenticators,
		e.checkWellKnown,
		e.checkListeners,
		e.checkProxies,
		e.checkSecretFiles,
		e.checkMail,
		e.checkRateLimits,
		e.checkStorage,
	} {
		if ctx.Err() != nil {
			break
		}
		check(ctx)
	}
	return e.CheckResults
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
		results.AddError("settings", err.Error(), "correct the settings; README.md lists them")
		return results
	}
	for _, err := range errs {
		results.AddError("settings", err.Setting+": "+err.Problem, err.Fix)
	}
	results.AddWarning("settings", "the other checks were skipped", "correct the settings and run keylodge doctor again")
	return results
}

// checkStorage inspects the database, and checks its content if it is intact and has the schema of this release.
func (e *checks) checkStorage(ctx context.Context) {
	database := e.config.Database.Maintenance()
	inspection := database.Inspect(ctx, system.Clock{}.Now(), e.options)
	e.CheckResults = append(e.CheckResults, inspection...)
	if inspection.HasErrors() || e.config.Database.IsMissing(ctx) {
		return
	}
	status, err := database.Status(ctx)
	if err != nil {
		e.AddError("database.schema", err.Error(), "run keylodge doctor again")
		return
	}
	if slices.ContainsFunc(status, func(m dbadmin.Migration) bool { return !m.Applied }) {
		return // Open would apply the pending migrations
	}
	store, err := e.config.Database.Open(ctx)
	if err != nil {
		e.AddError("database.open", err.Error(), "correct this and run keylodge doctor again")
		return
	}
	defer store.Close()
	// Each of these checks reads a whole table.
	e.withProgress("checking the RP IDs of passkeys", func() { e.checkPasskeys(ctx, store) })
	e.withProgress("checking passkeys against the policy", func() { e.checkNonCompliantPasskeys(ctx, store) })
	e.withProgress("checking encrypted data", func() { e.checkSecrets(ctx, store) })
}

// withProgress runs a check. It reports the progress once a second, without numbers.
func (e *checks) withProgress(stage dbadmin.Stage, run func()) {
	if e.options.Progress == nil {
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
			e.options.Progress(dbadmin.Progress{Stage: stage})
		case <-done:
			e.options.Progress(dbadmin.Progress{Stage: stage, Done: 1, Total: 1})
			return
		}
	}
}

func (e *checks) checkPasskeys(ctx context.Context, store ports.Store) {
	service := &maintenance.Service{Store: store, RPIDs: maintenance.RPIDs{Current: e.config.RPID, Retired: e.config.RetiredRPIDs}}
	retired, err := service.CheckRPID(ctx)
	if changed, is := errors.AsType[*maintenance.RPIDChangedError](err); is {
		e.AddError("passkeys", err.Error()+"; the server does not start", e.config.RPIDAdvice(changed.RPIDs()))
		return
	}
	if err != nil {
		e.AddError("passkeys", err.Error(), "run keylodge doctor again")
		return
	}
	for _, id := range e.config.RetiredRPIDs {
		if passkeys := retired[id]; passkeys > 0 {
			e.AddWarning("passkeys", fmt.Sprintf("%d passkeys of the retired RP ID %s cannot sign in", passkeys, id),
				"their owners recover their accounts themselves, or with a link from: keylodge users recover WHO")
		} else {
			e.AddWarning("passkeys", "no passkey has the retired RP ID "+id, "remove it from KEYLODGE_RETIRED_RP_IDS")
		}
	}
	e.AddOK("passkeys", "all passkeys that can sign in have the RP ID "+e.config.RPID)
}
