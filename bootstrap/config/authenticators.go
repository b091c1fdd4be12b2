package config

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"slices"

	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/adapters/webauthn"
	"github.com/keylodge/keylodge/domain"
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
