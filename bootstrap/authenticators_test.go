package bootstrap

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/authenticator"
	"github.com/keylodge/keylodge/adapters/cli"
	"github.com/keylodge/keylodge/domain"
)

const (
	knownModel   = "4b657921-0000-0000-0000-000000000001"
	unknownModel = "4b657921-0000-0000-0000-000000000002"
)

// metadataFiles are those of a metadata service that knows one model: its BLOB, and the certificate that it is known by.
func metadataFiles(t *testing.T, nextUpdate time.Time) (blobFile, rootFile string) {
	t.Helper()
	maker, err := authenticator.NewVendor("Lodge Keys")
	if err != nil {
		t.Fatal(err)
	}
	service, err := authenticator.NewMetadataService()
	if err != nil {
		t.Fatal(err)
	}
	model, err := domain.ParseAAGUID(knownModel)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := service.BLOB(nextUpdate,
		authenticator.Model{AAGUID: model, Vendors: []*authenticator.Vendor{maker}}, authenticator.Model{AAGUID: [16]byte{1}, LastChange: "yesterday"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blobFile, rootFile = filepath.Join(dir, "metadata.jwt"), filepath.Join(dir, "root.pem")
	for file, text := range map[string][]byte{blobFile: blob, rootFile: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Root().Raw})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return blobFile, rootFile
}

func attestedSettings(blobFile, rootFile string, more ...string) []string {
	return append([]string{"AUTHENTICATOR_POLICY=attested", "METADATA_FILE=" + blobFile, "METADATA_ROOT_FILE=" + rootFile}, more...)
}

func TestLoadConfig_AllowsAnyAuthenticatorByDefault(t *testing.T) {
	config, err := load(t)
	if err != nil || config.Authenticators.RequiresAttestation() || config.Metadata != nil {
		t.Errorf("%+v, %+v, %v", config.Authenticators, config.Metadata, err)
	}
}

func TestLoadConfig_Authenticators(t *testing.T) {
	blobFile, rootFile := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	config, err := load(t, attestedSettings(blobFile, rootFile, "ALLOWED_AAGUIDS="+knownModel+" , "+strings.ToUpper(unknownModel), "DENIED_AAGUIDS=00000000-0000-0000-0000-000000000000")...)
	if err != nil {
		t.Fatal(err)
	}
	known, _ := domain.ParseAAGUID(knownModel)
	unknown, _ := domain.ParseAAGUID(unknownModel)
	want := domain.AuthenticatorPolicy{Attested: true, Allowed: []domain.AAGUID{known, unknown}, Denied: []domain.AAGUID{{}}}
	if !reflect.DeepEqual(config.Authenticators, want) {
		t.Errorf("%+v, want %+v", config.Authenticators, want)
	}
	if config.Metadata == nil || config.Metadata.Models != 1 || config.Metadata.Unreadable != 1 || !config.Metadata.Contains(known) {
		t.Errorf("%+v", config.Metadata)
	}
}

func TestLoadConfig_RejectsInvalidAuthenticators(t *testing.T) {
	blobFile, rootFile := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	_, anotherRoot := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	two := filepath.Join(t.TempDir(), "two.pem")
	first, err := os.ReadFile(rootFile)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, two, string(first)+string(first), 0o600)
	broken := filepath.Join(t.TempDir(), "broken.pem")
	writeFile(t, broken, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("certificate")})), 0o600)
	for name, c := range map[string]struct {
		settings []string
		setting  string // that must be named, maybe among others
		says     string
	}{
		"a policy that is not":             {[]string{"AUTHENTICATOR_POLICY=all"}, "AUTHENTICATOR_POLICY", "any or attested"},
		"attested without metadata":        {[]string{"AUTHENTICATOR_POLICY=attested"}, "METADATA_FILE", "without metadata no attestation can be judged"},
		"metadata without attested":        {[]string{"METADATA_FILE=" + blobFile}, "METADATA_FILE", "does nothing"},
		"metadata for any":                 {[]string{"AUTHENTICATOR_POLICY=any", "METADATA_FILE=" + blobFile}, "METADATA_FILE", "does nothing"},
		"a root without metadata":          {[]string{"METADATA_ROOT_FILE=" + rootFile}, "METADATA_ROOT_FILE", "does nothing"},
		"metadata that are not there":      {attestedSettings(blobFile+".old", rootFile), "METADATA_FILE", "no such file"},
		"metadata that are none":           {attestedSettings(rootFile, rootFile), "METADATA_FILE", "curl"},
		"metadata of somebody else":        {attestedSettings(blobFile, anotherRoot), "METADATA_FILE", "unknown authority"},
		"metadata not of the FIDO's":       {[]string{"AUTHENTICATOR_POLICY=attested", "METADATA_FILE=" + blobFile}, "METADATA_FILE", "unknown authority"},
		"a root that is not there":         {attestedSettings(blobFile, rootFile+".old"), "METADATA_ROOT_FILE", "no such file"},
		"a root that is none":              {attestedSettings(blobFile, blobFile), "METADATA_ROOT_FILE", "no certificate in it"},
		"a root that cannot be read":       {attestedSettings(blobFile, broken), "METADATA_ROOT_FILE", "PEM file"},
		"two roots":                        {attestedSettings(blobFile, two), "METADATA_ROOT_FILE", "more than one"},
		"an allowed AAGUID that is none":   {[]string{"ALLOWED_AAGUIDS=" + knownModel + ",yubikey"}, "ALLOWED_AAGUIDS", `"yubikey"`},
		"a denied AAGUID that is none":     {[]string{"DENIED_AAGUIDS=4b657921"}, "DENIED_AAGUIDS", `"4b657921"`},
		"no model, allowed":                {[]string{"ALLOWED_AAGUIDS=00000000-0000-0000-0000-000000000000"}, "ALLOWED_AAGUIDS", "names no model"},
		"one that is allowed and denied":   {[]string{"ALLOWED_AAGUIDS=" + knownModel, "DENIED_AAGUIDS=" + knownModel}, "ALLOWED_AAGUIDS", "denied as well"},
		"one allowed in words of its kind": {[]string{"ALLOWED_AAGUIDS={" + knownModel + "}"}, "ALLOWED_AAGUIDS", "separated by commas"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.settings...)
			var faults SettingErrors
			if !errors.As(err, &faults) {
				t.Fatalf("got %v", err)
			}
			for _, fault := range faults {
				if fault.Setting == "KEYLODGE_"+c.setting && strings.Contains(fault.Problem+fault.Fix, c.says) && fault.Fix != "" {
					return
				}
			}
			t.Errorf("%v\ndoes not say %q of %s", err, c.says, c.setting)
		})
	}
}

func TestLogMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		nextUpdate  time.Time
		level, says string
	}{
		"new": {time.Now().AddDate(0, 1, 0), "INFO", "models=1"},
		"old": {time.Now().AddDate(0, -1, 0), "WARN", "replace the file of KEYLODGE_METADATA_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			blobFile, rootFile := metadataFiles(t, c.nextUpdate)
			config, err := load(t, attestedSettings(blobFile, rootFile)...)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			logMetadata(config.Metadata, time.Now(), slog.New(slog.NewTextHandler(&log, nil)))
			if !strings.Contains(log.String(), "level="+c.level) || !strings.Contains(log.String(), c.says) || !strings.Contains(log.String(), "number=7") {
				t.Errorf("%s", log.String())
			}
		})
	}
	var log bytes.Buffer
	if logMetadata(nil, time.Now(), slog.New(slog.NewTextHandler(&log, nil))); log.Len() > 0 {
		t.Errorf("%s", log.String())
	}
}

func TestDoctor_Authenticators(t *testing.T) {
	blobFile, rootFile := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	oldBlob, oldRoot := metadataFiles(t, time.Now().AddDate(0, -1, 0))
	for name, c := range map[string]struct {
		settings []string
		warns    string
	}{
		"any":                                 {nil, ""},
		"attested":                            {attestedSettings(blobFile, rootFile, "ALLOWED_AAGUIDS="+knownModel), ""},
		"old metadata":                        {attestedSettings(oldBlob, oldRoot), "should have been replaced"},
		"one allowed that nobody knows":       {attestedSettings(blobFile, rootFile, "ALLOWED_AAGUIDS="+unknownModel), "do not know " + unknownModel},
		"lists that nobody vouches for":       {[]string{"ALLOWED_AAGUIDS=" + knownModel}, "what authenticators say of themselves"},
		"denials that nobody vouches for":     {[]string{"DENIED_AAGUIDS=" + knownModel}, "what authenticators say of themselves"},
		"denials beside metadata are vouched": {attestedSettings(blobFile, rootFile, "DENIED_AAGUIDS="+knownModel), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, append(c.settings, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...); err != nil {
				t.Fatal(err)
			}
			exitCode, stdout, stderr := runCommand("doctor --json")
			var answer struct {
				Checks []struct{ Check, State, Found, Advice string }
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil || exitCode != cli.ExitOK {
				t.Fatalf("exit %d, %v in %s, %s", exitCode, err, stdout, stderr)
			}
			warned, found := "", false
			for _, f := range answer.Checks {
				if f.Check == "authenticators" {
					found = true
					if f.State != "ok" {
						warned += f.Found + f.Advice
					}
				}
			}
			if !found || (warned == "") != (c.warns == "") || !strings.Contains(warned, c.warns) {
				t.Errorf("%+v", answer.Checks)
			}
		})
	}
}

// A command that reads the settings is how a new file is tried before it takes the old one's place: docs/operations.md.
func TestCommand_ValidatesMetadataFile(t *testing.T) {
	blobFile, rootFile := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	bad := filepath.Join(t.TempDir(), "metadata.new")
	writeFile(t, bad, "<html>", 0o600)
	newDatabaseWithUsers(t, attestedSettings(blobFile, rootFile)...)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitOK {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
	t.Setenv("KEYLODGE_METADATA_FILE", bad)
	if exitCode, _, stderr := runCommand("migrate status"); exitCode != cli.ExitUsage || !strings.Contains(stderr, "KEYLODGE_METADATA_FILE") {
		t.Errorf("exit %d, %s", exitCode, stderr)
	}
}

func TestDoctor_NonCompliantPasskeys(t *testing.T) {
	blobFile, rootFile := metadataFiles(t, time.Now().AddDate(0, 1, 0))
	ada, ben := newDatabaseWithUsers(t, attestedSettings(blobFile, rootFile, "LISTEN=127.0.0.1:0", "OPS_LISTEN=127.0.0.1:0")...)
	exitCode, stdout, stderr := runCommand("doctor")
	for _, told := range []string{"2 passkeys of 00000000-0000-0000-0000-000000000000", "go on signing in", ada.user.ID.String(), ben.user.ID.String()} {
		if exitCode != cli.ExitOK || !strings.Contains(stdout, told) {
			t.Errorf("exit %d, %s%s\ndoes not tell %q", exitCode, stdout, stderr, told)
		}
	}
	t.Setenv("KEYLODGE_AUTHENTICATOR_POLICY", "any")
	t.Setenv("KEYLODGE_METADATA_FILE", "")
	t.Setenv("KEYLODGE_METADATA_ROOT_FILE", "")
	t.Setenv("KEYLODGE_DENIED_AAGUIDS", knownModel)
	if _, stdout, _ = runCommand("doctor"); !strings.Contains(stdout, "all are of models that would be taken today") {
		t.Errorf("%s", stdout)
	}
}
