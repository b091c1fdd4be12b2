package postgres

import (
	"context"
	"fmt"

	"github.com/keylodge/keylodge/db/postgresdb"
	"github.com/keylodge/keylodge/domain"
)

type credentials struct{ queries *postgresdb.Queries }

func (c credentials) Add(ctx context.Context, credential *domain.Credential) error {
	s := credential.State()
	added, err := c.queries.AddPasskey(ctx, postgresdb.AddPasskeyParams{
		CredentialID:      s.ID.Bytes(),
		UserID:            s.UserID.String(),
		Name:              string(s.Name),
		Status:            string(s.Status),
		RPID:              s.RPID,
		PublicKey:         s.PublicKey,
		Algorithm:         s.Algorithm,
		AAGUID:            s.AAGUID[:],
		Attachment:        s.Attachment,
		Transports:        encodeList(s.Transports),
		Flags:             int64(s.Flags),
		SignCount:         int64(s.SignCount),
		CloneWarning:      s.CloneWarning,
		AttestationType:   s.Attestation.Type,
		AttestationFormat: s.Attestation.Format,
		AttestationObject: s.Attestation.Object,
		AuthenticatorData: s.Attestation.AuthenticatorData,
		ClientDataJSON:    s.Attestation.ClientDataJSON,
		Extensions:        optionalText(string(s.Extensions)),
		CreatedAt:         s.CreatedAt,
		LastUsedAt:        optionalTimestamp(s.LastUsedAt),
	})
	if err != nil {
		return wrap("adding a passkey", err)
	}
	if added == 0 {
		return domain.ErrPasskeyAlreadyRegistered
	}
	return nil
}

func (c credentials) ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error) {
	row, err := c.queries.PasskeyByID(ctx, id.Bytes())
	if err != nil {
		return nil, wrapNotFound("looking up a passkey", err, domain.ErrPasskeyUnknown)
	}
	return credentialOf(row)
}

func (c credentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	rows, err := c.queries.PasskeysOfUser(ctx, id.String())
	if err != nil {
		return nil, wrap("listing a user's passkeys", err)
	}
	return restoreAll(rows, credentialOf)
}

func (c credentials) Save(ctx context.Context, credential *domain.Credential) error {
	s := credential.State()
	saved, err := c.queries.SavePasskey(ctx, postgresdb.SavePasskeyParams{
		Name:         string(s.Name),
		Status:       string(s.Status),
		Transports:   encodeList(s.Transports),
		Flags:        int64(s.Flags),
		SignCount:    int64(s.SignCount),
		CloneWarning: s.CloneWarning,
		LastUsedAt:   optionalTimestamp(s.LastUsedAt),
		CredentialID: s.ID.Bytes(),
	})
	if err != nil {
		return wrap("saving a passkey", err)
	}
	if saved == 0 {
		return domain.ErrPasskeyUnknown
	}
	return nil
}

func (c credentials) Remove(ctx context.Context, id domain.CredentialID) error {
	removed, err := c.queries.RemovePasskey(ctx, id.Bytes())
	if err != nil {
		return wrap("removing a passkey", err)
	}
	if removed == 0 {
		return domain.ErrPasskeyUnknown
	}
	return nil
}

func (c credentials) CountOtherRPIDs(ctx context.Context, rpID string) (map[string]int, error) {
	rows, err := c.queries.PasskeysOfOtherRPs(ctx, rpID)
	if err != nil {
		return nil, wrap("counting the passkeys of other RP ids", err)
	}
	foreign := make(map[string]int, len(rows))
	for _, row := range rows {
		foreign[row.RPID] = int(row.Passkeys)
	}
	return foreign, nil
}

func credentialOf(row postgresdb.Passkey) (*domain.Credential, error) {
	userID, err := domain.ParseUserID(row.UserID)
	if err != nil {
		return nil, fmt.Errorf("reading a passkey's user: %w", err)
	}
	s := domain.CredentialState{
		ID:           domain.CredentialID(row.CredentialID),
		UserID:       userID,
		Name:         domain.PasskeyName(row.Name),
		Status:       domain.CredentialStatus(row.Status),
		RPID:         row.RPID,
		PublicKey:    row.PublicKey,
		Algorithm:    row.Algorithm,
		Attachment:   row.Attachment,
		Transports:   decodeList[string](row.Transports),
		Flags:        domain.AuthenticatorFlags(row.Flags),
		SignCount:    uint32(row.SignCount),
		CloneWarning: row.CloneWarning,
		Attestation: domain.Attestation{
			Type:              row.AttestationType,
			Format:            row.AttestationFormat,
			Object:            row.AttestationObject,
			AuthenticatorData: row.AuthenticatorData,
			ClientDataJSON:    row.ClientDataJSON,
		},
		CreatedAt:  timeOf(row.CreatedAt),
		LastUsedAt: optionalTime(row.LastUsedAt),
	}
	if row.Extensions != nil {
		s.Extensions = []byte(*row.Extensions)
	}
	if err := fixedBytes(s.AAGUID[:], row.AAGUID); err != nil {
		return nil, fmt.Errorf("reading a passkey's AAGUID: %w", err)
	}
	return domain.RestoreCredential(s), nil
}
