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

// checkNonCompliantPasskeys reports passkeys that the policy would reject today: it or the metadata changed since they were added.
func (c *checks) checkNonCompliantPasskeys(ctx context.Context, store ports.Store) {
	// Check passkeys.authenticators: the policy would accept all existing passkeys. It applies to new passkeys only, so existing
	// ones still sign in.
	if !c.config.Authenticators.RequiresAttestation() {
		return
	}
	var compromised func(domain.AAGUID) bool
	if c.config.Metadata != nil {
		compromised = c.config.Metadata.Compromised
	}
	found, err := (&admin.Service{Store: store}).NonCompliantPasskeys(ctx, c.config.Authenticators, compromised)
	if err != nil {
		c.AddError("passkeys.authenticators", err.Error(), "run keylodge doctor again")
		return
	}
	for _, model := range slices.SortedFunc(maps.Keys(found), func(a, b domain.AAGUID) int { return strings.Compare(a.String(), b.String()) }) {
		const listed = 3
		owners := make([]string, 0, listed)
		for _, owner := range found[model][:min(listed, len(found[model]))] {
			owners = append(owners, owner.String())
		}
		list := strings.Join(owners, ", ")
		if more := len(found[model]) - len(owners); more > 0 {
			list += fmt.Sprintf(" and %d more", more)
		}
		c.AddWarning("passkeys.authenticators", fmt.Sprintf("%d passkeys of the model %s can sign in, which the policy rejects for new ones; their users: %s", len(found[model]), model, list),
			"to replace one, send the user a link from keylodge users recover USER, and ask to remove the passkey")
	}
	if len(found) == 0 {
		c.AddOK("passkeys.authenticators", "the policy accepts the models of all passkeys")
	}
}

func (c *checks) checkAuthenticators(context.Context) {
	// Check authenticators: the policy for authenticators can be enforced, and its metadata is up to date.
	policy, metadata := c.config.Authenticators, c.config.Metadata
	if !policy.Attested {
		if policy.RequiresAttestation() {
			c.AddWarning("authenticators", "the lists of AAGUIDs apply to AAGUIDs without attestation, which a client can forge",
				"set KEYLODGE_AUTHENTICATOR_POLICY=attested to reject forged ones")
			return
		}
		c.AddOK("authenticators", "every authenticator is accepted")
		return
	}
	const refresh = "replace the file of KEYLODGE_METADATA_FILE and restart the server"
	if metadata.Outdated(system.Clock{}.Now()) {
		c.AddWarning("authenticators", "the metadata has been outdated since "+metadata.NextUpdate.Format(time.DateOnly)+": newer models are rejected, and models compromised since are accepted", refresh)
	}
	for _, model := range policy.Allowed {
		if !metadata.Contains(model) {
			c.AddWarning("authenticators", "the metadata does not contain the allowed model "+model.String()+", so it is rejected", "remove it from KEYLODGE_ALLOWED_AAGUIDS, or "+refresh)
		}
	}
	message := fmt.Sprintf("attestation is required; metadata number %d has %d models", metadata.Number, metadata.Models)
	if metadata.Unreadable > 0 {
		message += fmt.Sprintf("; %d entries cannot be read, and their models are rejected", metadata.Unreadable)
	}
	c.AddOK("authenticators", message)
}
