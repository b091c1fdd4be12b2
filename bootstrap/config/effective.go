package config

import (
	"net/url"
	"reflect"

	"github.com/keylodge/keylodge/ports/dbadmin"
)

// Effective returns all settings as the server would use them, in the order of docs/reference/settings.md, with where each is from.
// Secrets are left out. If settings are invalid, it returns SettingErrors with the settings as far as they could be read.
func Effective() ([]dbadmin.Setting, error) {
	_, env, from, err := read(func(*environment) {})
	fields := reflect.ValueOf(env)
	all := make([]dbadmin.Setting, fields.NumField())
	for i := range all {
		tag := fields.Type().Field(i).Tag
		name := tag.Get("envconfig")
		s := dbadmin.Setting{Name: name, Value: fields.Field(i).String(), Origin: from[name]}
		switch {
		case s.Origin != "":
		case hasValue(name) || tag.Get("empty") != "" && s.Value == "":
			s.Origin = "environment"
		default:
			s.Origin = "default"
			if s.Value == "" {
				s.Value = tag.Get("unset")
			}
		}
		s.Value, s.Hidden = withoutSecret(name, s.Value)
		all[i] = s
	}
	return all, err
}

// withoutSecret returns the value without a secret, and whether there was one: a URL without its password, and of any other secret
// nothing.
func withoutSecret(name, value string) (string, bool) {
	if !(assignment{name, value}).isSecret() {
		return value, false
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", true
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	}
	return u.Redacted(), true
}
