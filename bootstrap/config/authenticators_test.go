package config

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/settings"
	"github.com/keylodge/keylodge/domain"
)

func TestLoad_AllowsAnyAuthenticatorByDefault(t *testing.T) {
	config, err := load(t)
	if err != nil || config.Authenticators.RequiresAttestation() || config.Metadata != nil {
		t.Errorf("%+v, %+v, %v", config.Authenticators, config.Metadata, err)
	}
}

func TestLoad_Authenticators(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	config, err := load(t, settings.Attested(blobFile, rootFile, "ALLOWED_AAGUIDS="+settings.KnownModel+" , "+strings.ToUpper(settings.UnknownModel), "DENIED_AAGUIDS=00000000-0000-0000-0000-000000000000")...)
	if err != nil {
		t.Fatal(err)
	}
	known, _ := domain.ParseAAGUID(settings.KnownModel)
	unknown, _ := domain.ParseAAGUID(settings.UnknownModel)
	want := domain.AuthenticatorPolicy{Attested: true, Allowed: []domain.AAGUID{known, unknown}, Denied: []domain.AAGUID{{}}}
	if !reflect.DeepEqual(config.Authenticators, want) {
		t.Errorf("%+v, want %+v", config.Authenticators, want)
	}
	if config.Metadata == nil || config.Metadata.Models != 1 || config.Metadata.Unreadable != 1 || !config.Metadata.Contains(known) {
		t.Errorf("%+v", config.Metadata)
	}
}

func TestLoad_RejectsInvalidAuthenticators(t *testing.T) {
	blobFile, rootFile := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	_, anotherRoot := settings.MetadataFiles(t, time.Now().AddDate(0, 1, 0))
	two := filepath.Join(t.TempDir(), "two.pem")
	first, err := os.ReadFile(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	settings.WriteFile(t, two, string(first)+string(first), 0o600)
	broken := filepath.Join(t.TempDir(), "broken.pem")
	settings.WriteFile(t, broken, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("certificate")})), 0o600)
	for name, c := range map[string]struct {
		settings []string
		setting  string // other settings may be invalid too
		text     string
	}{
		"unknown policy":                 {[]string{"AUTHENTICATOR_POLICY=all"}, "AUTHENTICATOR_POLICY", "any or attested"},
		"attested without metadata":      {[]string{"AUTHENTICATOR_POLICY=attested"}, "METADATA_FILE", "attestation is verified with metadata"},
		"metadata without a policy":      {[]string{"METADATA_FILE=" + blobFile}, "METADATA_FILE", "has no effect"},
		"metadata with policy any":       {[]string{"AUTHENTICATOR_POLICY=any", "METADATA_FILE=" + blobFile}, "METADATA_FILE", "has no effect"},
		"root without metadata":          {[]string{"METADATA_ROOT_FILE=" + rootFile}, "METADATA_ROOT_FILE", "has no effect"},
		"missing metadata file":          {settings.Attested(blobFile+".old", rootFile), "METADATA_FILE", "no such file"},
		"invalid metadata":               {settings.Attested(rootFile, rootFile), "METADATA_FILE", "curl"},
		"metadata of another signer":     {settings.Attested(blobFile, anotherRoot), "METADATA_FILE", "unknown authority"},
		"metadata not by FIDO":           {[]string{"AUTHENTICATOR_POLICY=attested", "METADATA_FILE=" + blobFile}, "METADATA_FILE", "unknown authority"},
		"missing root file":              {settings.Attested(blobFile, rootFile+".old"), "METADATA_ROOT_FILE", "no such file"},
		"root file without certificate":  {settings.Attested(blobFile, blobFile), "METADATA_ROOT_FILE", "contains no certificate"},
		"invalid root certificate":       {settings.Attested(blobFile, broken), "METADATA_ROOT_FILE", "PEM file"},
		"two root certificates":          {settings.Attested(blobFile, two), "METADATA_ROOT_FILE", "more than one"},
		"invalid allowed AAGUID":         {[]string{"ALLOWED_AAGUIDS=" + settings.KnownModel + ",yubikey"}, "ALLOWED_AAGUIDS", `"yubikey"`},
		"invalid denied AAGUID":          {[]string{"DENIED_AAGUIDS=4b657921"}, "DENIED_AAGUIDS", `"4b657921"`},
		"zero AAGUID allowed":            {[]string{"ALLOWED_AAGUIDS=00000000-0000-0000-0000-000000000000"}, "ALLOWED_AAGUIDS", "names no model"},
		"AAGUID allowed and denied":      {[]string{"ALLOWED_AAGUIDS=" + settings.KnownModel, "DENIED_AAGUIDS=" + settings.KnownModel}, "ALLOWED_AAGUIDS", "also denied"},
		"allowed AAGUID in curly braces": {[]string{"ALLOWED_AAGUIDS={" + settings.KnownModel + "}"}, "ALLOWED_AAGUIDS", "separated by commas"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.settings...)
			var errs SettingErrors
			if !errors.As(err, &errs) || !slices.ContainsFunc(errs, func(e SettingError) bool {
				return e.Setting == "KEYLODGE_"+c.setting && strings.Contains(e.Problem+e.Fix, c.text) && e.Fix != ""
			}) {
				t.Errorf("got %v\nwant %q for %s", err, c.text, c.setting)
			}
		})
	}
}
