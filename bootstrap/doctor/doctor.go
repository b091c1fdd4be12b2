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

// Run looks at the whole installation as the settings describe it. What one check needs comes before it.
func Run(ctx context.Context, check dbadmin.CheckOptions) dbadmin.CheckResults {
	cfg, err := config.Load()
	if err != nil {
		return settingsResults(err)
	}
	e := &checks{config: cfg, check: check}
	e.AddOK("settings", "they can be used")
	for _, look := range []func(context.Context){
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
		look(ctx)
	}
	return e.CheckResults
}

// checks is what was found so far.
type checks struct {
	dbadmin.CheckResults
	config config.Config
	check  dbadmin.CheckOptions
}

func settingsResults(err error) (found dbadmin.CheckResults) {
	var faults config.SettingErrors
	if !errors.As(err, &faults) {
		found.AddError("settings", err.Error(), "correct them; README.md lists them all")
		return found
	}
	for _, fault := range faults {
		found.AddError("settings", fault.Setting+": "+fault.Problem, fault.Fix)
	}
	found.AddWarning("settings", "nothing else was looked at", "correct the settings and run this again")
	return found
}

// checkStorage looks at the database from below, and at what is in it if that is sound and of this release.
func (e *checks) checkStorage(ctx context.Context) {
	database := e.config.Database.Maintenance()
	below := database.Inspect(ctx, system.Clock{}.Now(), e.check)
	e.CheckResults = append(e.CheckResults, below...)
	if below.HasErrors() || e.config.Database.IsMissing(ctx) {
		return
	}
	status, err := database.Status(ctx)
	if err != nil {
		e.AddError("database.schema", err.Error(), "run this again")
		return
	}
	if slices.ContainsFunc(status, func(m dbadmin.Migration) bool { return !m.Applied }) {
		return // opening it would upgrade it
	}
	store, err := e.config.Database.Open(ctx)
	if err != nil {
		e.AddError("database.open", err.Error(), "do as it says, and run this again")
		return
	}
	defer store.Close()
	// Each of these reads a whole table.
	e.withProgress("checking the RP IDs of passkeys", func() { e.checkPasskeys(ctx, store) })
	e.withProgress("checking passkeys against the policy", func() { e.checkNonCompliantPasskeys(ctx, store) })
	e.withProgress("checking encrypted data", func() { e.checkSecrets(ctx, store) })
}

// withProgress runs a check, and reports once a second that it has not ended.
func (e *checks) withProgress(stage dbadmin.Stage, run func()) {
	if e.check.Progress == nil {
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
			e.check.Progress(dbadmin.Progress{Stage: stage})
		case <-done:
			e.check.Progress(dbadmin.Progress{Stage: stage, Done: 1, Total: 1})
			return
		}
	}
}

func (e *checks) checkPasskeys(ctx context.Context, store ports.Store) {
	service := &maintenance.Service{Store: store, RPIDs: maintenance.RPIDs{Current: e.config.RPID, Retired: e.config.RetiredRPIDs}}
	abandoned, err := service.CheckRPID(ctx)
	if changed, is := errors.AsType[*maintenance.RPIDChangedError](err); is {
		e.AddError("passkeys", err.Error()+"; the server does not start", e.config.RPIDAdvice(changed.RPIDs()))
		return
	}
	if err != nil {
		e.AddError("passkeys", err.Error(), "run this again")
		return
	}
	for _, id := range e.config.RetiredRPIDs {
		if passkeys := abandoned[id]; passkeys > 0 {
			e.AddWarning("passkeys", fmt.Sprintf("%d passkeys of %s, which is retired, are in the database and cannot sign in", passkeys, id),
				"let their owners back in: they recover, or get a link from keylodge users recover WHO")
		} else {
			e.AddWarning("passkeys", "there is no passkey of "+id+", which is retired", "remove it from KEYLODGE_RETIRED_RP_IDS")
		}
	}
	e.AddOK("passkeys", "all others are of the RP id "+e.config.RPID)
}
