package transfer

import "github.com/keylodge/keylodge/domain"

type passkey struct {
	ID           binary      `json:"id"`
	Name         string      `json:"name,omitempty"`
	Status       string      `json:"status"`
	RPID         string      `json:"rp_id"`
	PublicKey    binary      `json:"public_key"` // COSE_Key
	Algorithm    int64       `json:"algorithm"`  // COSE algorithm identifier
	AAGUID       aaguid      `json:"aaguid"`
	Attachment   string      `json:"attachment,omitempty"`
	Transports   []string    `json:"transports,omitempty"`
	Flags        byte        `json:"flags"`
	SignCount    uint32      `json:"sign_count"`
	CloneWarning bool        `json:"clone_warning"`
	Attestation  attestation `json:"attestation"`
	Extensions   binary      `json:"extensions,omitempty"` // JSON, byte for byte
	CreatedAt    jsonTime    `json:"created_at"`
	LastUsedAt   jsonTime    `json:"last_used_at,omitzero"`
}

type attestation struct {
	Type              string `json:"type,omitempty"`
	Format            string `json:"format,omitempty"`
	Object            binary `json:"object,omitempty"`
	AuthenticatorData binary `json:"authenticator_data,omitempty"`
	ClientDataJSON    binary `json:"client_data_json,omitempty"`
}

func passkeyOf(s domain.CredentialState) passkey {
	return passkey{
		ID: binaryOf(s.ID.Bytes()), Name: string(s.Name), Status: string(s.Status), RPID: s.RPID, PublicKey: binaryOf(s.PublicKey),
		Algorithm: s.Algorithm, AAGUID: s.AAGUID, Attachment: s.Attachment, Transports: nilIfEmpty(s.Transports),
		Flags: byte(s.Flags), SignCount: s.SignCount, CloneWarning: s.CloneWarning,
		Attestation: attestation{
			Type: s.Attestation.Type, Format: s.Attestation.Format, Object: binaryOf(s.Attestation.Object),
			AuthenticatorData: binaryOf(s.Attestation.AuthenticatorData), ClientDataJSON: binaryOf(s.Attestation.ClientDataJSON),
		},
		Extensions: binaryOf(s.Extensions), CreatedAt: jsonTimeOf(s.CreatedAt), LastUsedAt: jsonTimeOf(s.LastUsedAt),
	}
}

func (r passkey) state(owner domain.UserID) domain.CredentialState {
	return domain.CredentialState{
		ID: domain.CredentialID(r.ID), UserID: owner, Name: domain.PasskeyName(r.Name), Status: domain.CredentialStatus(r.Status),
		RPID: r.RPID, PublicKey: r.PublicKey, Algorithm: r.Algorithm, AAGUID: r.AAGUID, Attachment: r.Attachment, Transports: r.Transports,
		Flags: domain.AuthenticatorFlags(r.Flags), SignCount: r.SignCount, CloneWarning: r.CloneWarning,
		Attestation: domain.Attestation{
			Type: r.Attestation.Type, Format: r.Attestation.Format, Object: r.Attestation.Object,
			AuthenticatorData: r.Attestation.AuthenticatorData, ClientDataJSON: r.Attestation.ClientDataJSON,
		},
		Extensions: r.Extensions, CreatedAt: r.CreatedAt.Time, LastUsedAt: r.LastUsedAt.Time,
	}
}
