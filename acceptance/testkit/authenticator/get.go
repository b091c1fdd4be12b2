package authenticator

import (
	"encoding/json"
	"fmt"
)

// Get implements navigator.credentials.get() for PublicKeyCredentialRequestOptionsJSON. It returns one of the Err variables of
// this package, or another error for options that it cannot decode.
func (a *Authenticator) Get(optionsJSON []byte, variations ...Variation) (AuthenticationResponse, error) {
	var options requestOptions
	if err := json.Unmarshal(optionsJSON, &options); err != nil {
		return AuthenticationResponse{}, fmt.Errorf("reading request options: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()

	c := a.begin("webauthn.get", options.RPID, options.Challenge)
	rpID := c.rpID
	for _, vary := range variations {
		vary(c)
	}
	p, err := a.choose(rpID, options.AllowCredentials, c.userHandle)
	if err != nil {
		return AuthenticationResponse{}, err
	}
	if a.deviceBound {
		p.signCount++
	}
	return a.assert(c, p)
}

func (a *Authenticator) assert(c *ceremony, p *passkey) (AuthenticationResponse, error) {
	clientDataJSON, err := c.clientDataJSON()
	if err != nil {
		return AuthenticationResponse{}, err
	}
	var attested []byte
	if c.includeAttestedData {
		if attested, err = a.attestedCredentialData(c, p); err != nil {
			return AuthenticationResponse{}, err
		}
	}
	authenticatorData := c.authenticatorData(p, attested)
	signature, err := p.sign(authenticatorData, clientDataJSON)
	if err != nil {
		return AuthenticationResponse{}, fmt.Errorf("signing an assertion: %w", err)
	}
	userHandle := p.userHandle
	if c.answerUserHandle != nil {
		userHandle = *c.answerUserHandle
	}
	id := c.idOf(p)
	return AuthenticationResponse{
		ID: id, RawID: id, Type: publicKeyType,
		AuthenticatorAttachment: a.attachment(),
		Response: AssertionResponse{
			ClientDataJSON: clientDataJSON, AuthenticatorData: authenticatorData, Signature: c.signature(signature), UserHandle: userHandle,
		},
	}, nil
}
