package webauthn

import (
	"bytes"
	"crypto/subtle"
	"slices"
	"strings"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keylodge/keylodge/domain"
)

// clientDataMembers are the names that are read. No other member may differ from one of them by letter case alone.
var clientDataMembers = []string{"type", "challenge", "origin", "crossOrigin", "topOrigin"}

// clientData are the members that a ceremony depends on. Encoded, they are what the library is given in place of the client's own
// text, which it would refuse for an odd tokenBinding, a member that Level 3 only reserves (section 5.8.1).
type clientData struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Origin    string `json:"origin"`
}

// checkClientData holds an answer's client data to WebAuthn Level 3, section 7.1, steps 5 to 11, and section 7.2, steps 8 to 14,
// read strictly. It returns the members that it has checked, or a *domain.Rejection.
//
// The library (0.18) decodes it with encoding/json, which replaces invalid UTF-8, lets the last of several members of
// one name win, and takes "Type" for "type"; it then compares origins as URLs, so that letter case, a path or a user
// name make no difference. Browsers write none of that. Where a signature covers the client data, the holder of the key
// could still have signed it; a registration with attestation "none" is not signed at all.
func checkClientData(raw []byte, ceremony protocol.CeremonyType, challenge string, origins []string) (clientData, error) {
	data, err := parseClientData(raw)
	if err != nil {
		return clientData{}, err
	}
	var said clientData
	for name, member := range map[string]*string{"type": &said.Type, "challenge": &said.Challenge, "origin": &said.Origin} {
		unquoted, err := jsontext.AppendUnquote(nil, data[name])
		if err != nil {
			return clientData{}, domain.Reject(domain.ReasonMalformed, "client data without a text as its "+name)
		}
		*member = string(unquoted)
	}
	switch {
	case said.Type != string(ceremony):
		return clientData{}, domain.Reject(domain.ReasonTypeMismatch, "client data of type "+quote(said.Type))
	case subtle.ConstantTimeCompare([]byte(said.Challenge), []byte(challenge)) != 1:
		return clientData{}, domain.Reject(domain.ReasonChallengeMismatch, "client data with another challenge")
	case !slices.Contains(origins, said.Origin):
		return clientData{}, domain.Reject(domain.ReasonOriginNotAllowed, "client data from origin "+quote(said.Origin))
	}
	return said, checkCrossOrigin(data)
}

// checkCrossOrigin refuses ceremonies in frames of other origins, where a page could be made to look like something
// else (section 13.4.2). A topOrigin means the same, also an empty one and one of our own: clients send it only beside a crossOrigin
// that is true (section 5.8.1). A member that is null says nothing, as one that is missing.
func checkCrossOrigin(data map[string]jsontext.Value) error {
	if topOrigin, present := data["topOrigin"]; present && topOrigin.Kind() != jsontext.KindNull {
		return domain.Reject(domain.ReasonCrossOrigin, "client data with topOrigin "+quote(string(topOrigin)))
	}
	crossOrigin, present := data["crossOrigin"]
	switch {
	case !present, crossOrigin.Kind() == jsontext.KindFalse, crossOrigin.Kind() == jsontext.KindNull:
		return nil
	case crossOrigin.Kind() == jsontext.KindTrue:
		return domain.Reject(domain.ReasonCrossOrigin, "client data with crossOrigin set")
	}
	return domain.Reject(domain.ReasonMalformed, "client data with crossOrigin "+quote(string(crossOrigin)))
}

// parseClientData reads one JSON object of valid UTF-8 with one member of each name. A byte order mark in front of it is no part
// of it (section 7.1, step 5; section 7.2, step 8).
func parseClientData(raw []byte) (map[string]jsontext.Value, error) {
	var data map[string]jsontext.Value
	if err := strictjson.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &data); err != nil {
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
