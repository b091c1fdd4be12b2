package bootstrap

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

const (
	anyAuthenticator       = "any"
	attestedAuthenticators = "attested"
)

// authenticators reads which authenticators may make passkeys, and what they are judged by. A list or a file that would do
// nothing is a fault: somebody believes in it.
func (c *settingsParser) authenticators(config *Config, e environment) {
	policy := oneOf(c, "AUTHENTICATOR_POLICY", e.AuthenticatorPolicy, anyAuthenticator, attestedAuthenticators)
	config.Authenticators = domain.AuthenticatorPolicy{
		Attested: policy == attestedAuthenticators,
		Allowed:  c.aaguids("ALLOWED_AAGUIDS", e.AllowedAAGUIDs),
		Denied:   c.aaguids("DENIED_AAGUIDS", e.DeniedAAGUIDs),
	}
	for _, model := range config.Authenticators.Allowed {
		switch {
		case model == domain.AAGUID{}:
			c.addError("ALLOWED_AAGUIDS", model.String()+" names no model: every authenticator can call itself that", "take it out")
		case slices.Contains(config.Authenticators.Denied, model):
			c.addError("ALLOWED_AAGUIDS", model.String()+" is denied as well", "take it out here, or of KEYLODGE_DENIED_AAGUIDS")
		}
	}
	switch {
	case policy == attestedAuthenticators && e.MetadataFile == "":
		c.addError("METADATA_FILE", "it is not set, and KEYLODGE_AUTHENTICATOR_POLICY is attested: without metadata no attestation can be judged", metadataFix)
	case policy == attestedAuthenticators:
		config.Metadata = c.metadata(e.MetadataFile, c.metadataRoot(e.MetadataRootFile))
	case e.MetadataFile != "":
		c.addError("METADATA_FILE", "it does nothing while KEYLODGE_AUTHENTICATOR_POLICY is any", "write attested there, or remove this one")
	}
	if e.MetadataRootFile != "" && e.MetadataFile == "" {
		c.addError("METADATA_ROOT_FILE", "it does nothing without KEYLODGE_METADATA_FILE", "name the metadata there, or remove this one")
	}
}

func (c *settingsParser) aaguids(setting, s string) []domain.AAGUID {
	var models []domain.AAGUID
	for _, item := range splitList(s) {
		model, err := domain.ParseAAGUID(item)
		if err != nil {
			c.addError(setting, err.Error(), "write AAGUIDs separated by commas, such as ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4")
			continue
		}
		models = append(models, model)
	}
	return models
}

const metadataFix = "name the file with the metadata of the FIDO Alliance: curl -fo metadata.jwt https://mds3.fidoalliance.org/"

func (c *settingsParser) metadata(file string, root *x509.Certificate) *webauthn.Metadata {
	blob, err := os.ReadFile(file)
	if err != nil {
		c.addError("METADATA_FILE", err.Error(), metadataFix)
		return nil
	}
	metadata, err := webauthn.ReadMetadata(blob, root, system.Clock{}.Now())
	if err != nil {
		c.addError("METADATA_FILE", file+": "+err.Error(), metadataFix)
	}
	return metadata
}

// metadataRoot returns nil for the FIDO Alliance's.
func (c *settingsParser) metadataRoot(file string) *x509.Certificate {
	if file == "" {
		return nil
	}
	const fix = "name a PEM file with the certificate that your metadata's signer is traced to; leave it unset for those of the FIDO Alliance"
	text, err := os.ReadFile(file)
	if err != nil {
		c.addError("METADATA_ROOT_FILE", err.Error(), fix)
		return nil
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		c.addError("METADATA_ROOT_FILE", "there is no certificate in it", fix)
		return nil
	}
	if another, _ := pem.Decode(rest); another != nil {
		c.addError("METADATA_ROOT_FILE", "there is more than one certificate in it", fix)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		c.addError("METADATA_ROOT_FILE", err.Error(), fix)
	}
	return root
}

// logMetadata says at start what authenticators are judged by, and since when it should be replaced.
func logMetadata(m *webauthn.Metadata, now time.Time, log *slog.Logger) {
	if m == nil {
		return
	}
	known := []any{slog.Int("number", m.Number), slog.Int("models", m.Models), slog.String("next_update", m.NextUpdate.Format(time.DateOnly))}
	if m.Outdated(now) {
		log.Warn("the metadata of authenticators are old: newer models are refused, and models broken since are not; replace the file of KEYLODGE_METADATA_FILE and restart", known...)
		return
	}
	log.Info("new passkeys are held to the metadata of authenticators", known...)
}

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
