package outbox

import (
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// EncryptCode encrypts a verification code for the e-mail with the given id; Deliver decrypts it for no other.
func EncryptCode(sealer ports.Sealer, id domain.OutboxEmailID, code domain.EmailCode) ([]byte, error) {
	return sealer.Seal([]byte(code.Reveal()), additionalData(id))
}

func decryptCode(sealer ports.Sealer, id domain.OutboxEmailID, encrypted []byte) (domain.Secret, error) {
	code, err := sealer.Open(encrypted, additionalData(id))
	return domain.NewSecret(string(code)), err
}

func additionalData(id domain.OutboxEmailID) string { return "code in message " + id.String() }
