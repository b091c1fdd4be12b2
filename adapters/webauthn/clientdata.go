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

// clientDataMembers are the members that are read. The name of no other member may differ from one of them only in case.
var clientDataMembers = []string{"type", "challenge", "origin", "crossOrigin", "topOrigin"}

// clientData has the members that a ceremony depends on. The library gets them instead of the client's own text, which it would reject
// for some values of tokenBinding, a member that Level 3 only reserves (section 5.8.1).
type clientData struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Origin    string `json:"origin"`
}

// checkClientData checks client data by WebAuthn Level 3, section 7.1, steps 5 to 11, and section 7.2, steps 8 to 14, in a strict
// reading. It returns the checked members, or a *domain.Rejection.
//
// The library (0.18) decodes it with encoding/json, which replaces invalid UTF-8, uses the last of several members with the same name,
// and accepts "Type" as "type". It then compares origins as URLs, and ignores case, path and user name. Browsers send none of this, but
// the holder of a key can sign it, and a registration with attestation "none" is not signed.
func checkClientData(raw []byte, ceremony protocol.CeremonyType, challenge string, origins []string) (clientData, error) {
	data, err := parseClientData(raw)
	if err != nil {
		return clientData{}, err
	}
	var checked clientData
	for name, member := range map[string]*string{"type": &checked.Type, "challenge": &checked.Challenge, "origin": &checked.Origin} {
		unquoted, err := jsontext.AppendUnquote(nil, data[name])
		if err != nil {
			return clientData{}, domain.Reject(domain.ReasonMalformed, "client data has no string "+name)
		}
		*member = string(unquoted)
	}
	switch {
	case checked.Type != string(ceremony):
		return clientData{}, domain.Reject(domain.ReasonTypeMismatch, "client data has type "+quote(checked.Type))
	case subtle.ConstantTimeCompare([]byte(checked.Challenge), []byte(challenge)) != 1:
		return clientData{}, domain.Reject(domain.ReasonChallengeMismatch, "client data has another challenge")
	case !slices.Contains(origins, checked.Origin):
		return clientData{}, domain.Reject(domain.ReasonOriginNotAllowed, "client data has origin "+quote(checked.Origin))
	}
	return checked, checkCrossOrigin(data)
}

// checkCrossOrigin rejects ceremonies in frames of other origins, which could mislead the user (section 13.4.2). Every topOrigin means
// the same, even an empty or an allowed one: clients send it only if crossOrigin is true (section 5.8.1). A null member counts as
// missing.
func checkCrossOrigin(data map[string]jsontext.Value) error {
	if topOrigin, present := data["topOrigin"]; present && topOrigin.Kind() != jsontext.KindNull {
		return domain.Reject(domain.ReasonCrossOrigin, "client data has topOrigin "+quote(string(topOrigin)))
	}
	crossOrigin, present := data["crossOrigin"]
	switch {
	case !present, crossOrigin.Kind() == jsontext.KindFalse, crossOrigin.Kind() == jsontext.KindNull:
		return nil
	case crossOrigin.Kind() == jsontext.KindTrue:
		return domain.Reject(domain.ReasonCrossOrigin, "client data has crossOrigin true")
	}
	return domain.Reject(domain.ReasonMalformed, "client data has crossOrigin "+quote(string(crossOrigin)))
}

// parseClientData parses one JSON object in valid UTF-8 without duplicate names. A byte order mark before it is removed (section 7.1,
// step 5; section 7.2, step 8).
func parseClientData(raw []byte) (map[string]jsontext.Value, error) {
	var data map[string]jsontext.Value
	if err := strictjson.Unmarshal(bytes.TrimPrefix(raw, []byte("\ufeff")), &data); err != nil {
		return nil, domain.Reject(domain.ReasonMalformed, "client data: "+quote(err.Error()))
	}
	for name := range data {
		variant := func(known string) bool { return name != known && strings.EqualFold(name, known) }
		if slices.ContainsFunc(clientDataMembers, variant) {
			return nil, domain.Reject(domain.ReasonMalformed, "client data has a member "+quote(name))
		}
	}
	return data, nil
}
