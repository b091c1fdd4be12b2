package webauthn

import (
	"crypto/subtle"
	"slices"
	"strings"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// clientDataMembers are the names that the library reads, in any letter case.
var clientDataMembers = []string{"type", "challenge", "origin", "crossOrigin", "topOrigin", "tokenBinding"}

// checkClientData holds an answer's client data to WebAuthn Level 3, sections 7.1 and 7.2, read strictly.
//
// The library (0.18) decodes it with encoding/json, which replaces invalid UTF-8, lets the last of several members of
// one name win, and takes "Type" for "type"; it then compares origins as URLs, so that letter case, a path or a user
// name make no difference. Browsers write none of that. Where a signature covers the client data, whoever holds the key
// could still have signed it; a registration with attestation "none" is not signed at all.
func checkClientData(raw []byte, ceremony protocol.CeremonyType, challenge string, origins []string) error {
	data, err := parseClientData(raw)
	if err != nil {
		return err
	}
	text := func(name string) (string, error) {
		unquoted, err := jsontext.AppendUnquote(nil, data[name])
		if err != nil {
			return "", domain.Reject(domain.ReasonMalformed, "client data without a text as its "+name)
		}
		return string(unquoted), nil
	}
	gotType, err := text("type")
	if err != nil {
		return err
	}
	gotChallenge, err := text("challenge")
	if err != nil {
		return err
	}
	gotOrigin, err := text("origin")
	if err != nil {
		return err
	}
	switch {
	case gotType != string(ceremony):
		return domain.Reject(domain.ReasonTypeMismatch, "client data of type "+quote(gotType))
	case subtle.ConstantTimeCompare([]byte(gotChallenge), []byte(challenge)) != 1:
		return domain.Reject(domain.ReasonChallengeMismatch, "client data with another challenge")
	case !slices.Contains(origins, gotOrigin):
		return domain.Reject(domain.ReasonOriginNotAllowed, "client data from origin "+quote(gotOrigin))
	}
	return checkCrossOrigin(data)
}

// checkCrossOrigin refuses ceremonies in frames of other origins, where a page could be made to look like something
// else (section 13.4.2). A topOrigin means the same, whatever its value.
func checkCrossOrigin(data map[string]jsontext.Value) error {
	if topOrigin, present := data["topOrigin"]; present {
		return domain.Reject(domain.ReasonCrossOrigin, "client data with topOrigin "+quote(string(topOrigin)))
	}
	crossOrigin, present := data["crossOrigin"]
	switch {
	case !present, crossOrigin.Kind() == jsontext.KindFalse:
		return nil
	case crossOrigin.Kind() == jsontext.KindTrue:
		return domain.Reject(domain.ReasonCrossOrigin, "client data with crossOrigin set")
	}
	return domain.Reject(domain.ReasonMalformed, "client data with crossOrigin "+quote(string(crossOrigin)))
}

// parseClientData reads one JSON object of valid UTF-8 with one member of each name.
func parseClientData(raw []byte) (map[string]jsontext.Value, error) {
	var data map[string]jsontext.Value
	if err := strictjson.Unmarshal(raw, &data); err != nil {
		return nil, domain.Reject(domain.ReasonMalformed, "client data: "+quote(err.Error()))
	}
	for name := range data {
		variant := func(known string) bool { return name != known && strings.EqualFold(name, known) }
		if slices.ContainsFunc(clientDataMembers, variant) {
			return nil, domain.Reject(domain.ReasonMalformed, "client data with a member "+quote(name))
		}
	}
	return data, nil
}
