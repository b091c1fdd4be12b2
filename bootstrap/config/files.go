package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keylodge/keylodge/adapters/masterkey"
)

// origins has the file that each setting was read from, by its name. A setting that is not in it is from the environment, or unset.
type origins map[string]string

// readFiles adds the settings in .env, and those in files of their own, to the environment. Variables that are set already take
// precedence over .env.
func readFiles() (origins, error) {
	from := origins{}
	if err := from.readDotenv(); err != nil {
		return from, err
	}
	if errs := from.readSettingFiles(); len(errs) > 0 {
		return from, errs
	}
	return from, nil
}

const dotenvFile = ".env"

// readDotenv adds the settings in .env to the environment.
func (o origins) readDotenv() error {
	text, err := os.ReadFile(dotenvFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return SettingErrors{{Setting: dotenvFile, Problem: err.Error(), Fix: "make it readable for the user that runs keylodge, or remove it"}}
	}
	assignments, errs := parseDotenv(text)
	if slices.ContainsFunc(assignments, assignment.isSecret) {
		if info, err := os.Stat(dotenvFile); err != nil {
			errs = append(errs, SettingError{dotenvFile, err.Error(), "make it readable for the user that runs keylodge, or remove it"})
		} else if err := masterkey.CheckPrivate(dotenvFile, info); err != nil {
			errs = append(errs, SettingError{dotenvFile, err.Error(), "chmod 600 " + dotenvFile})
		}
	}
	if len(errs) > 0 {
		return errs
	}
	for _, a := range assignments {
		if _, set := os.LookupEnv(a.name); set {
			continue
		}
		if err := os.Setenv(a.name, a.value); err != nil {
			return SettingErrors{{Setting: dotenvFile, Problem: a.name + " cannot be set: " + err.Error(), Fix: "correct its line"}}
		}
		o[a.name] = dotenvFile
	}
	return nil
}

// isSecret reports whether the value is a secret or a password, or a URL that contains one.
func (a assignment) isSecret() bool {
	switch a.name {
	case prefix + "_SECRET", prefix + "_PREVIOUS_SECRETS", prefix + "_SMTP_PASSWORD":
		return a.value != ""
	case prefix + "_DATABASE_URL", prefix + "_RATE_LIMIT_URL":
		return strings.Contains(a.value, "@") || strings.Contains(a.value, "password=")
	}
	return false
}

// fileSuffix follows the name of a setting in the name of the variable that has the file with its value.
const fileSuffix = "_FILE"

// settingOfFile returns the name of the setting whose value is in the file that the variable names. It returns "" for any other
// variable, such as a setting that is itself a file.
func settingOfFile(variable string) string {
	name, found := strings.CutSuffix(variable, fileSuffix)
	if !found || strings.HasSuffix(name, fileSuffix) {
		return ""
	}
	return name
}

// readSettingFiles adds the settings that are in a file of their own to the environment. The variable KEYLODGE_SECRET_FILE has the
// name of the file with KEYLODGE_SECRET.
func (o origins) readSettingFiles() (errs SettingErrors) {
	for _, name := range settingNames() {
		variable := name + fileSuffix
		file := strings.TrimSpace(os.Getenv(variable))
		if file == "" || settingOfFile(variable) == "" {
			continue
		}
		if hasValue(name) {
			errs = append(errs, SettingError{variable, name + " is also set", "remove one of the two"})
			continue
		}
		value, err := readSettingFile(name, file)
		if err != nil {
			errs = append(errs, SettingError{variable, err.Error(), "correct the file, or set " + name})
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			errs = append(errs, SettingError{variable, name + " cannot be set: " + err.Error(), "correct the file"})
			continue
		}
		o[name] = file
	}
	return errs
}

// readSettingFile returns the value in a file, without the line break at its end. A file with a secret must be private.
func readSettingFile(name, file string) (string, error) {
	const maxSize = 64 << 10
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case len(text) > maxSize:
		return "", fmt.Errorf("%s is larger than %d KiB", file, maxSize>>10)
	case !utf8.ValidString(value) || bytes.IndexByte(text, 0) >= 0:
		return "", fmt.Errorf("%s is not UTF-8 text", file)
	case strings.ContainsAny(value, "\r\n"):
		return "", fmt.Errorf("%s has more than one line", file)
	}
	if (assignment{name, value}).isSecret() {
		info, err := f.Stat()
		if err != nil {
			return "", err
		}
		if err := masterkey.CheckPrivate(file, info); err != nil {
			return "", fmt.Errorf("%w (chmod 600 %s)", err, file)
		}
	}
	return value, nil
}
