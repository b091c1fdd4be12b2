package webauthn

import (
	"crypto/ecdh"
	"crypto/rand"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RejectUnknown verifies the answer with a dummy key, so that it fails at the same check and after the same work as with a stored
// passkey.
func (rp *RelyingParty) RejectUnknown(ceremony []byte, answer ports.AuthenticationAnswer, decoy bool) error {
	session, err := rp.resume(ceremony)
	if err != nil {
		return err
	}
	if len(session.AllowedCredentialIDs) == 0 && !decoy {
		return domain.ErrPasskeyUnknown
	}
	state := rp.dummyCredential.State()
	state.ID = domain.CredentialID(answer.ID)
	if _, err := rp.VerifyAuthentication(ceremony, answer, rp.dummyUser, domain.RestoreCredential(state)); err != nil {
		return err
	}
	return domain.ErrPasskeyUnknown // not reached: the private key was discarded
}

// newDummy returns a user and a passkey for RejectUnknown. It discards the private key.
func newDummy() (*domain.User, *domain.Credential, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	point := key.PublicKey().Bytes() // 0x04, x, y
	encoded, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
	if err != nil {
		return nil, nil, err
	}
	return domain.RestoreUser(domain.UserState{Handle: domain.NewUserHandle(rand.Reader)}),
		domain.RestoreCredential(domain.CredentialState{PublicKey: encoded, Algorithm: int64(webauthncose.AlgES256)}), nil
}
