package sqlstore

import (
	"context"

	"github.com/keylodge/keylodge/db/column"
	"github.com/keylodge/keylodge/db/sqlitedb"
	"github.com/keylodge/keylodge/domain"
)

type credentials struct{ collection }

func (c credentials) Add(ctx context.Context, credential *domain.Credential, attestation domain.Attestation) error {
	added, err := c.q.AddPasskey(ctx, sqlitedb.AddPasskeyParams(passkeyRow(credential)))
	if err == nil { // also if the id is taken: the number of statements must not reveal whether a passkey exists
		err = c.q.AddPasskeyAttestation(ctx, sqlitedb.AddPasskeyAttestationParams{
			CredentialID:      credential.ID().Bytes(),
			AttestationType:   attestation.Type,
			AttestationFormat: attestation.Format,
			AttestationObject: attestation.Object,
			AuthenticatorData: attestation.AuthenticatorData,
			ClientDataJSON:    attestation.ClientDataJSON,
		})
	}
	return c.affected("adding a passkey", added, err, domain.ErrPasskeyAlreadyRegistered)
}

func (c credentials) Attestation(ctx context.Context, id domain.CredentialID) (domain.Attestation, error) {
	row, err := c.q.PasskeyAttestation(ctx, id.Bytes())
	return domain.Attestation{
		Type:              row.AttestationType,
		Format:            row.AttestationFormat,
		Object:            row.AttestationObject,
		AuthenticatorData: row.AuthenticatorData,
		ClientDataJSON:    row.ClientDataJSON,
	}, c.wrapNotFound("looking up an attestation", err, domain.ErrPasskeyUnknown)
}

func (c credentials) ByID(ctx context.Context, id domain.CredentialID) (*domain.Credential, error) {
	row, err := c.q.PasskeyByID(ctx, id.Bytes())
	if err != nil {
		return nil, c.wrapNotFound("looking up a passkey", err, domain.ErrPasskeyUnknown)
	}
	return credentialOf(row)
}

func (c credentials) ByIDWithOwner(
	ctx context.Context, id domain.CredentialID, upTo int,
) (credential *domain.Credential, owner *domain.User, sessions int, err error) {
	row, err := c.q.PasskeyWithOwner(ctx, int64(upTo), id.Bytes())
	if err != nil {
		return nil, nil, 0, c.wrapNotFound("looking up a passkey", err, domain.ErrPasskeyUnknown)
	}
	if owner, err = userOf(row.User); err != nil {
		return nil, nil, 0, err
	}
	credential, err = credentialOf(row.Passkey)
	return credential, owner, int(row.Sessions), err
}

func (c credentials) ListByUser(ctx context.Context, id domain.UserID) ([]*domain.Credential, error) {
	rows, err := c.q.ListPasskeysByUser(ctx, id.String())
	if err != nil {
		return nil, c.wrap("listing a user's passkeys", err)
	}
	return restoreAll(rows, credentialOf)
}

func (c credentials) ListWithOwner(
	ctx context.Context, id domain.UserID, subject domain.LockoutSubject,
) (passkeys domain.Passkeys, owner *domain.User, hasLockout bool, err error) {
	rows, err := c.q.ListPasskeysWithOwner(ctx, subject[:], id.String())
	if err != nil {
		return nil, nil, false, c.wrap("listing a user's passkeys", err)
	}
	if len(rows) == 0 {
		return nil, nil, false, domain.ErrPasskeyUnknown
	}
	if owner, err = userOf(rows[0].User); err != nil {
		return nil, nil, false, err
	}
	passkeys, err = restoreAll(rows, func(row sqlitedb.ListPasskeysWithOwnerRow) (*domain.Credential, error) {
		return credentialOf(row.Passkey)
	})
	return passkeys, owner, rows[0].HasLockout, err
}

func (c credentials) Save(ctx context.Context, credential *domain.Credential) error {
	row := passkeyRow(credential)
	saved, err := c.q.SavePasskey(ctx, sqlitedb.SavePasskeyParams{
		Name:         row.Name,
		Status:       row.Status,
		Transports:   row.Transports,
		Flags:        row.Flags,
		SignCount:    row.SignCount,
		CloneWarning: row.CloneWarning,
		LastUsedAt:   row.LastUsedAt,
		CredentialID: row.CredentialID,
	})
	return c.affected("saving a passkey", saved, err, domain.ErrPasskeyUnknown)
}

func (c credentials) Remove(ctx context.Context, id domain.CredentialID) error {
	removed, err := c.q.RemovePasskey(ctx, id.Bytes())
	return c.affected("removing a passkey", removed, err, domain.ErrPasskeyUnknown)
}

func (c credentials) CountOtherRPIDs(ctx context.Context, rpID string) (map[string]int, error) {
	rows, err := c.q.CountPasskeysOfOtherRPIDs(ctx, rpID)
	if err != nil {
		return nil, c.wrap("counting the passkeys of other RP IDs", err)
	}
	counts := make(map[string]int, len(rows))
	for _, row := range rows {
		counts[row.RPID] = int(row.Passkeys)
	}
	return counts, nil
}

func passkeyRow(credential *domain.Credential) sqlitedb.Passkey {
	s := credential.State()
	return sqlitedb.Passkey{
		CredentialID: s.ID.Bytes(),
		UserID:       s.UserID.String(),
		Name:         string(s.Name),
		Status:       string(s.Status),
		RPID:         s.RPID,
		PublicKey:    s.PublicKey,
		Algorithm:    s.Algorithm,
		AAGUID:       s.AAGUID[:],
		Attachment:   s.Attachment,
		Transports:   s.Transports,
		Flags:        int64(s.Flags),
		SignCount:    int64(s.SignCount),
		CloneWarning: s.CloneWarning,
		Extensions:   column.Text(s.Extensions),
		CreatedAt:    column.Time{Time: s.CreatedAt},
		LastUsedAt:   column.Time{Time: s.LastUsedAt},
	}
}

func credentialOf(row sqlitedb.Passkey) (*domain.Credential, error) {
	var d decoder
	s := domain.CredentialState{
		ID:           domain.CredentialID(row.CredentialID),
		UserID:       parseID(&d, "user_id", row.UserID, domain.ParseUserID),
		Name:         domain.PasskeyName(row.Name),
		Status:       domain.CredentialStatus(row.Status),
		RPID:         row.RPID,
		PublicKey:    row.PublicKey,
		Algorithm:    row.Algorithm,
		Attachment:   row.Attachment,
		Transports:   row.Transports,
		Flags:        domain.AuthenticatorFlags(row.Flags),
		SignCount:    uint32(row.SignCount),
		CloneWarning: row.CloneWarning,
		CreatedAt:    row.CreatedAt.Time,
		LastUsedAt:   row.LastUsedAt.Time,
	}
	if row.Extensions != "" {
		s.Extensions = []byte(row.Extensions)
	}
	d.bytes("aaguid", s.AAGUID[:], row.AAGUID)
	return restore(d, "passkey", s, domain.RestoreCredential)
}
