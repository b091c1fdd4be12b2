package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// checkNonCompliantPasskeys finds those that joined before the policy, or before their model was broken.
func (e *checks) checkNonCompliantPasskeys(ctx context.Context, store ports.Store) {
	if !e.config.Authenticators.RequiresAttestation() {
		return
	}
	var compromised func(domain.AAGUID) bool
	if e.config.Metadata != nil {
		compromised = e.config.Metadata.Compromised
	}
	found, err := (&admin.Service{Store: store}).NonCompliantPasskeys(ctx, e.config.Authenticators, compromised)
	if err != nil {
		e.AddError("passkeys.authenticators", err.Error(), "run this again")
		return
	}
	for _, model := range slices.SortedFunc(maps.Keys(found), func(a, b domain.AAGUID) int { return strings.Compare(a.String(), b.String()) }) {
		const named = 3
		owners := make([]string, 0, named)
		for _, owner := range found[model][:min(named, len(found[model]))] {
			owners = append(owners, owner.String())
		}
		whose := strings.Join(owners, ", ")
		if more := len(found[model]) - len(owners); more > 0 {
			whose += fmt.Sprintf(" and %d more", more)
		}
		e.AddWarning("passkeys.authenticators", fmt.Sprintf("%d passkeys of %s, which would not be taken today, go on signing in: those of %s", len(found[model]), model, whose),
			"to part somebody from one: keylodge users recover WHO, and have them remove it")
	}
	if len(found) == 0 {
		e.AddOK("passkeys.authenticators", "all are of models that would be taken today")
	}
}

func (e *checks) checkAuthenticators(context.Context) {
	policy, metadata := e.config.Authenticators, e.config.Metadata
	if !policy.Attested {
		if policy.RequiresAttestation() {
			e.AddWarning("authenticators", "the lists of AAGUIDs go by what authenticators say of themselves, which nobody vouches for",
				"set KEYLODGE_AUTHENTICATOR_POLICY=attested, if they are to keep anybody out who forges it")
			return
		}
		e.AddOK("authenticators", "any may make passkeys")
		return
	}
	const refresh = "replace the file of KEYLODGE_METADATA_FILE and restart the server"
	if metadata.Outdated(system.Clock{}.Now()) {
		e.AddWarning("authenticators", "the metadata should have been replaced by "+metadata.NextUpdate.Format(time.DateOnly)+": newer models are refused, and models broken since are not", refresh)
	}
	for _, model := range policy.Allowed {
		if !metadata.Contains(model) {
			e.AddWarning("authenticators", "the metadata do not know "+model.String()+", which is allowed, so it is refused all the same", "take it out of KEYLODGE_ALLOWED_AAGUIDS, or "+refresh)
		}
	}
	found := fmt.Sprintf("attested ones of %d models may make passkeys, by metadata number %d", metadata.Models, metadata.Number)
	if metadata.Unreadable > 0 {
		found += fmt.Sprintf("; %d entries of it cannot be read, and their models are refused", metadata.Unreadable)
	}
	e.AddOK("authenticators", found)
}
