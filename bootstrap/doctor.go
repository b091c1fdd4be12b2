package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/housekeeping"
	"github.com/keylodge/keylodge/ports"
)

// examine looks at the whole installation as the settings describe it. What one check needs comes before it.
func examine(ctx context.Context, check ports.Check) ports.Findings {
	config, err := LoadConfig()
	if err != nil {
		return settingsFaults(err)
	}
	e := &examination{config: config, check: check}
	e.OK("settings", "they can be used")
	for _, look := range []func(context.Context){
		e.lookAtRelyingParty,
		e.lookAtOrigins,
		e.lookAtAuthenticators,
		e.lookAtWellKnown,
		e.lookAtListeners,
		e.lookAtProxies,
		e.lookAtSecretFiles,
		e.lookAtMail,
		e.lookAtLimits,
		e.lookAtStorage,
	} {
		if ctx.Err() != nil {
			break
		}
		look(ctx)
	}
	return e.Findings
}

// examination is what was found so far.
type examination struct {
	ports.Findings
	config Config
	check  ports.Check
}

func settingsFaults(err error) (found ports.Findings) {
	var faults Faults
	if !errors.As(err, &faults) {
		found.Fault("settings", err.Error(), "correct them; README.md lists them all")
		return found
	}
	for _, fault := range faults {
		found.Fault("settings", fault.Setting+": "+fault.Problem, fault.Fix)
	}
	found.Warn("settings", "nothing else was looked at", "correct the settings and run this again")
	return found
}

// lookAtStorage looks at the database from below, and at what is in it if that is sound and of this release.
func (e *examination) lookAtStorage(ctx context.Context) {
	database := e.config.Database.whole()
	below := database.Inspect(ctx, system.Clock{}.Now(), e.check)
	e.Findings = append(e.Findings, below...)
	if below.Faulty() || e.config.Database.isMissing(ctx) {
		return
	}
	status, err := database.Status(ctx)
	if err != nil {
		e.Fault("database.schema", err.Error(), "run this again")
		return
	}
	if slices.ContainsFunc(status, func(m ports.Migration) bool { return !m.Applied }) {
		return // opening it would upgrade it
	}
	store, err := e.config.Database.open(ctx)
	if err != nil {
		e.Fault("database.open", err.Error(), "do as it says, and run this again")
		return
	}
	defer store.Close()
	e.lookAtPasskeys(ctx, store)
	e.lookAtFormerPasskeys(ctx, store)
	e.lookAtSecrets(ctx, store)
}

func (e *examination) lookAtPasskeys(ctx context.Context, store ports.Store) {
	guard := housekeeping.GuardPasskeys{Store: store, RPIDs: rpIDs(e.config)}
	abandoned, err := guard.Execute(ctx)
	if err != nil {
		e.Fault("passkeys", err.Error(), "do as it says: the server does not start like this")
		return
	}
	for _, id := range e.config.AbandonedRPIDs {
		if passkeys := abandoned[id]; passkeys > 0 {
			e.Warn("passkeys", fmt.Sprintf("%d passkeys of %s, which was given up, are there and open nothing", passkeys, id),
				"let their owners back in: they recover, or get a link from keylodge users recover WHO")
		} else {
			e.Warn("passkeys", "there is no passkey of "+id+", which was given up", "take it out of KEYLODGE_ABANDONED_RP_IDS")
		}
	}
	e.OK("passkeys", "all others are of the RP id "+e.config.RPID)
}
