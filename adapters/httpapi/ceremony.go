package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/ceremony"
	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/timestamp"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// optionsResponse is the response of every …/options request.
type optionsResponse struct {
	ChallengeID string          `json:"challenge_id"`
	Options     json.RawMessage `json:"options"`
	ExpiresAt   timestamp.Time  `json:"expires_at"`
}

// answerOptions answers with a ceremony that is bound to the client's browser, and sets the cookies that the browser must return.
func (s *server) answerOptions(c *fiber.Ctx, browser browser, begun ceremony.Begun, err error) error {
	if err != nil {
		return err
	}
	s.cookies.setBrowser(c, begun.ChallengeID, browser.newValue)
	return c.JSON(optionsOf(begun))
}

func optionsOf(begun ceremony.Begun) optionsResponse {
	return optionsResponse{begun.ChallengeID.String(), begun.Options, timestamp.Of(begun.ExpiresAt)}
}

// ceremonyBrowser returns the browser that a ceremony is bound to. It is zero unless the request comes from a page on this server's
// site, whose requests carry its cookies.
func (s *server) ceremonyBrowser(c *fiber.Ctx) browser {
	if s.provenance(c) != provenanceSameSite {
		return browser{}
	}
	return s.cookies.loadOrNewBrowser(c)
}

// client returns the client of the request. An invalid session token is ignored.
func (s *server) client(c *fiber.Ctx) identity.Client {
	token, _ := s.sessionToken(c)
	return identity.Client{UserAgent: c.Get(fiber.HeaderUserAgent), IP: s.clientIP(c), RequestID: stateOf(c).id, SessionToken: token}
}

// signInClient returns the client of a request that opens a session, with the requested transport. The error is a
// *domain.InvalidInput for the member transport.
func (s *server) signInClient(c *fiber.Ctx, transport string) (identity.Client, error) {
	client := s.client(c)
	switch domain.Transport(transport) {
	case "", domain.TransportCookie:
		if s.provenance(c) == provenanceCrossSite {
			return client, domain.Invalid("transport", "unsupported_transport", `a page on another site receives no cookie; send "bearer"`)
		}
		client.Transport = domain.TransportCookie
	case domain.TransportBearer:
		client.Transport = domain.TransportBearer
	default:
		return client, domain.Invalid("transport", "unsupported_transport", `this must be "cookie" or "bearer"`)
	}
	return client, nil
}

// verifyRequest has the members of every …/verify request. C is the JSON form of the credential, and A its form for the relying
// party.
type verifyRequest[C interface{ toPorts() (A, error) }, A any] struct {
	ChallengeID string         `json:"challenge_id"`
	Credential  jsontext.Value `json:"credential"`
}

type (
	verifyRegistration   = verifyRequest[registrationCredential, ports.RegistrationAnswer]
	verifyAuthentication = verifyRequest[authenticationCredential, ports.AuthenticationAnswer]
)

// parse returns the challenge, the binding of the browser and the credential. Others are the errors of the request's other
// members.
//
// The credential is parsed after the rest of the body, because a malformed credential is an attempt too: it consumes the challenge.
// Another invalid member, such as a name that is too long, does not.
func (v verifyRequest[C, A]) parse(s *server, c *fiber.Ctx, others ...error) (id domain.ChallengeID, binding domain.Binding, answer A, err error) {
	id, badID := domain.ParseChallengeID(v.ChallengeID)
	if badID != nil {
		badID = domain.Invalid("challenge_id", "invalid_id", "send the challenge_id of the …/options response")
	}
	var credential C
	var badCredential error
	if len(v.Credential) > 0 {
		badCredential = strictjson.Unmarshal(v.Credential, &credential)
	}
	if badCredential != nil { // a member has the wrong type, so the other members have not been read
		badCredential = prefixField("credential", invalidBody(badCredential))
		err = badCredential
	} else {
		answer, badCredential = credential.toPorts()
		err = domain.JoinInvalid(append([]error{badID, badCredential}, others...)...)
	}
	var invalid *domain.InvalidInput
	if badID == nil && badCredential != nil && errors.As(err, &invalid) {
		err = s.usecases.Challenges.Reject(c.UserContext(), id, domain.RejectMalformed(invalid))
	}
	return id, s.cookies.binding(c, id), answer, err
}

// registrationCredential is RegistrationResponseJSON (WebAuthn Level 3, section 5.1).
type registrationCredential struct {
	publicKeyCredential
	Response struct {
		ClientDataJSON    binary   `json:"clientDataJSON"`
		AttestationObject binary   `json:"attestationObject"`
		Transports        []string `json:"transports"`
	} `json:"response"`
}

func (r registrationCredential) toPorts() (ports.RegistrationAnswer, error) {
	err := domain.JoinInvalid(r.check(),
		requireMember("credential.response.clientDataJSON", r.Response.ClientDataJSON),
		requireMember("credential.response.attestationObject", r.Response.AttestationObject))
	return ports.RegistrationAnswer{
		ID: r.ID, ClientDataJSON: r.Response.ClientDataJSON, AttestationObject: r.Response.AttestationObject,
		Transports: r.Response.Transports, Attachment: r.Attachment, Extensions: json.RawMessage(r.Extensions),
	}, err
}

// authenticationCredential is AuthenticationResponseJSON (section 5.1).
type authenticationCredential struct {
	publicKeyCredential
	Response struct {
		ClientDataJSON    binary `json:"clientDataJSON"`
		AuthenticatorData binary `json:"authenticatorData"`
		Signature         binary `json:"signature"`
		UserHandle        binary `json:"userHandle"`
	} `json:"response"`
}

func (a authenticationCredential) toPorts() (ports.AuthenticationAnswer, error) {
	err := domain.JoinInvalid(a.check(),
		requireMember("credential.response.clientDataJSON", a.Response.ClientDataJSON),
		requireMember("credential.response.authenticatorData", a.Response.AuthenticatorData),
		requireMember("credential.response.signature", a.Response.Signature))
	return ports.AuthenticationAnswer{
		ID: a.ID, ClientDataJSON: a.Response.ClientDataJSON, AuthenticatorData: a.Response.AuthenticatorData,
		Signature: a.Response.Signature, UserHandle: a.Response.UserHandle,
		Attachment: a.Attachment, Extensions: json.RawMessage(a.Extensions),
	}, err
}

// publicKeyCredential has the members that both forms share.
type publicKeyCredential struct {
	ID         binary         `json:"id"`
	RawID      binary         `json:"rawId"`
	Type       string         `json:"type"`
	Attachment string         `json:"authenticatorAttachment"`
	Extensions jsontext.Value `json:"clientExtensionResults"`
}

func (p publicKeyCredential) check() error {
	var wrongType, wrongRawID, wrongExtensions error
	if p.Type != "public-key" {
		wrongType = domain.Invalid("credential.type", "unsupported_type", `this must be "public-key"`)
	}
	if p.RawID != nil && !bytes.Equal(p.RawID, p.ID) {
		wrongRawID = domain.Invalid("credential.rawId", "mismatch", "this must be the same as credential.id")
	}
	if kind := p.Extensions.Kind(); len(p.Extensions) > 0 && kind != '{' && kind != 'n' {
		wrongExtensions = domain.Invalid("credential.clientExtensionResults", "wrong_type", "this must be an object")
	}
	return domain.JoinInvalid(requireMember("credential.id", p.ID), wrongRawID, wrongType, wrongExtensions)
}

func requireMember(field string, value []byte) error {
	if len(value) == 0 {
		return domain.Invalid(field, "required", "this member is required")
	}
	return nil
}
