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

// authenticators reads the policy on authenticators and the metadata that verify attestation. A list or a file without effect is
// an error.
func (p *parser) authenticators(config *Config, e environment) {
	policy := oneOf(p, "AUTHENTICATOR_POLICY", e.AuthenticatorPolicy, anyAuthenticator, attestedAuthenticators)
	config.Authenticators = domain.AuthenticatorPolicy{
		Attested: policy == attestedAuthenticators,
		Allowed:  p.aaguids("ALLOWED_AAGUIDS", e.AllowedAAGUIDs),
		Denied:   p.aaguids("DENIED_AAGUIDS", e.DeniedAAGUIDs),
	}
	for _, model := range config.Authenticators.Allowed {
		switch {
		case model == domain.AAGUID{}:
			p.addError("ALLOWED_AAGUIDS", model.String()+" names no model: any authenticator can send it", "remove it")
		case slices.Contains(config.Authenticators.Denied, model):
			p.addError("ALLOWED_AAGUIDS", model.String()+" is also denied", "remove it here or from KEYLODGE_DENIED_AAGUIDS")
		}
	}
	switch {
	case policy == attestedAuthenticators && e.MetadataFile == "":
		p.addError("METADATA_FILE", "not set, and KEYLODGE_AUTHENTICATOR_POLICY is attested: attestation is verified with metadata", metadataFix)
	case policy == attestedAuthenticators:
		config.Metadata = p.metadata(e.MetadataFile, p.metadataRoot(e.MetadataRootFile))
	case e.MetadataFile != "":
		p.addError("METADATA_FILE", "has no effect with KEYLODGE_AUTHENTICATOR_POLICY=any", "set KEYLODGE_AUTHENTICATOR_POLICY=attested, or remove this setting")
	}
	if e.MetadataRootFile != "" && e.MetadataFile == "" {
		p.addError("METADATA_ROOT_FILE", "has no effect without KEYLODGE_METADATA_FILE", "set KEYLODGE_METADATA_FILE, or remove this setting")
	}
}

func (p *parser) aaguids(setting, s string) []domain.AAGUID {
	var models []domain.AAGUID
	for _, item := range splitList(s) {
		model, err := domain.ParseAAGUID(item)
		if err != nil {
			p.addError(setting, err.Error(), "write AAGUIDs separated by commas, for example ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4")
			continue
		}
		models = append(models, model)
	}
	return models
}

const metadataFix = "write the path of the metadata of the FIDO Alliance: curl -fo metadata.jwt https://mds3.fidoalliance.org/"

func (p *parser) metadata(file string, root *x509.Certificate) *webauthn.Metadata {
	blob, err := os.ReadFile(file)
	if err != nil {
		p.addError("METADATA_FILE", err.Error(), metadataFix)
		return nil
	}
	metadata, err := webauthn.ReadMetadata(blob, root, system.Clock{}.Now())
	if err != nil {
		p.addError("METADATA_FILE", file+": "+err.Error(), metadataFix)
	}
	return metadata
}

// metadataRoot returns nil, the FIDO Alliance's root, if no file is set.
func (p *parser) metadataRoot(file string) *x509.Certificate {
	if file == "" {
		return nil
	}
	const fix = "write the path of a PEM file with the root certificate of your metadata's signer; leave it unset for the FIDO Alliance's metadata"
	text, err := os.ReadFile(file)
	if err != nil {
		p.addError("METADATA_ROOT_FILE", err.Error(), fix)
		return nil
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		p.addError("METADATA_ROOT_FILE", "the file contains no certificate", fix)
		return nil
	}
	if another, _ := pem.Decode(rest); another != nil {
		p.addError("METADATA_ROOT_FILE", "the file contains more than one certificate", fix)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		p.addError("METADATA_ROOT_FILE", err.Error(), fix)
	}
	return root
}
