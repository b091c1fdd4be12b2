package authenticator

import (
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// ctap2 is the canonical CBOR encoding of authenticators (CTAP 2.1, section 8).
var ctap2 = func() cbor.EncMode {
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// Create implements navigator.credentials.create() for PublicKeyCredentialCreationOptionsJSON and stores the new passkey. It
// returns one of the Err variables of this package, or another error for options that it cannot decode.
func (a *Authenticator) Create(optionsJSON []byte, variations ...Variation) (RegistrationResponse, error) {
	var options creationOptions
	if err := json.Unmarshal(optionsJSON, &options); err != nil {
		return RegistrationResponse{}, fmt.Errorf("reading creation options: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()

	c := a.begin("webauthn.create", options.RP.ID, options.Challenge)
	if a.holdsAny(c.rpID, options.ExcludeCredentials) {
		return RegistrationResponse{}, ErrInvalidState
	}
	algorithm, err := a.supported(options.PubKeyCredParams)
	if err != nil {
		return RegistrationResponse{}, err
	}
	p, err := newPasskey(c.rpID, options.User.ID, algorithm)
	if err != nil {
		return RegistrationResponse{}, err
	}
	if a.deviceBound {
		p.signCount = 1
	}
	c.flags |= AttestedCredentialData
	if options.Extensions.CredProps {
		c.credProps = &CredProps{RK: true}
	}
	for _, vary := range variations {
		vary(c)
	}
	if c.credentialID != nil {
		p.id = c.credentialID
	}
	response, err := a.register(c, p)
	if err != nil {
		return RegistrationResponse{}, err
	}
	a.passkeys = append(a.passkeys, p)
	return response, nil
}

func (a *Authenticator) register(c *ceremony, p *passkey) (RegistrationResponse, error) {
	clientDataJSON, err := c.clientDataJSON()
	if err != nil {
		return RegistrationResponse{}, err
	}
	attested, err := a.attestedCredentialData(c, p)
	if err != nil {
		return RegistrationResponse{}, err
	}
	authenticatorData := c.authenticatorData(p, attested)
	object, err := a.attestationObject(c, p, authenticatorData, clientDataJSON)
	if err != nil {
		return RegistrationResponse{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(p.key.Public())
	if err != nil {
		return RegistrationResponse{}, fmt.Errorf("encoding a public key: %w", err)
	}
	id := c.idOf(p)
	return RegistrationResponse{
		ID: id, RawID: id, Type: publicKeyType,
		AuthenticatorAttachment: a.attachment(),
		ClientExtensionResults:  ClientExtensionResults{CredProps: c.credProps},
		Response: AttestationResponse{
			ClientDataJSON: clientDataJSON, AttestationObject: object, AuthenticatorData: authenticatorData,
			Transports: a.transports(), PublicKey: spki, PublicKeyAlgorithm: p.algorithm,
		},
	}, nil
}

// attestedCredentialData encodes the attested credential data (WebAuthn Level 3, section 6.5.1).
func (a *Authenticator) attestedCredentialData(c *ceremony, p *passkey) ([]byte, error) {
	key, err := p.coseKey()
	if err != nil {
		return nil, err
	}
	if c.rewriteCOSEKey != nil {
		c.rewriteCOSEKey(key)
	}
	encodedKey, err := ctap2.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a COSE key: %w", err)
	}
	if c.rewriteEncodedKey != nil {
		encodedKey = c.rewriteEncodedKey(encodedKey)
	}
	data := append([]byte(nil), a.aaguid[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(p.id)))
	data = append(data, p.id...)
	return append(data, encodedKey...), nil
}
