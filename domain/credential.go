package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Credential is the credential record of a passkey (WebAuthn Level 3, section 4) without its Attestation, which no sign-in needs.
type Credential struct{ state CredentialState }

// CredentialState is the state of a credential as it is stored.
type CredentialState struct {
	ID         CredentialID `export:"id"`
	UserID     UserID
	Name       PasskeyName        `export:"name,omitempty"` // "" if the user gave none
	Status     CredentialStatus   `export:"status"`
	RPID       string             `export:"rp_id"`
	PublicKey  []byte             `export:"public_key"` // COSE_Key, in CTAP2 canonical CBOR
	Algorithm  int64              `export:"algorithm"`  // COSE algorithm identifier of PublicKey
	AAGUID     AAGUID             `export:"aaguid"`
	Attachment string             `export:"attachment,omitempty"` // "platform", "cross-platform", or "" if not reported
	Transports []string           `export:"transports,omitempty"`
	Flags      AuthenticatorFlags `export:"flags"` // UV of any use, BS of the last use
	SignCount  uint32             `export:"sign_count"`
	// CloneWarning is set, permanently, when the counter of a device-bound passkey does not increase.
	CloneWarning bool      `export:"clone_warning"`
	Extensions   []byte    `export:"extensions,omitempty"` // extension results, as JSON
	CreatedAt    time.Time `export:"created_at"`
	LastUsedAt   time.Time `export:"last_used_at,omitzero"` // zero if not used since registration
}

// Attestation is the authenticator's response at registration, byte for byte. It is stored beside the credential, so that it can be
// verified again later.
type Attestation struct {
	Type              string `export:"type,omitempty"`
	Format            string `export:"format,omitempty"`
	Object            []byte `export:"object,omitempty"` // CBOR
	AuthenticatorData []byte `export:"authenticator_data,omitempty"`
	ClientDataJSON    []byte `export:"client_data_json,omitempty"`
}

// CredentialStatus says whether a passkey may be used.
type CredentialStatus string

const (
	CredentialActive    CredentialStatus = "active"
	CredentialSuspended CredentialStatus = "suspended"
)

// CredentialDescriptor identifies a passkey to the client (WebAuthn Level 3, section 5.8.3).
type CredentialDescriptor struct {
	ID         CredentialID
	Transports []string
}

// Registration is the result of a verified registration ceremony.
type Registration struct {
	CredentialID CredentialID
	RPID         string
	PublicKey    []byte
	Algorithm    int64
	AAGUID       AAGUID
	Attachment   string
	Transports   []string
	Flags        AuthenticatorFlags
	SignCount    uint32
	Attestation  Attestation
	Extensions   []byte
}

// Assertion is the result of a verified authentication ceremony.
type Assertion struct {
	Flags           AuthenticatorFlags
	SignCount       uint32
	HasAttestedData bool // the authenticator sent attested credential data of this passkey
}

// NewCredential returns the owner's passkey from a verified registration. It returns the errors of AuthenticatorFlags.Verify.
func NewCredential(owner UserID, name PasskeyName, r Registration, now time.Time) (*Credential, error) {
	if err := r.Flags.Verify(); err != nil {
		return nil, err
	}
	s := CredentialState{
		ID: r.CredentialID, UserID: owner, Name: name, Status: CredentialActive, RPID: r.RPID,
		PublicKey: r.PublicKey, Algorithm: r.Algorithm, AAGUID: r.AAGUID,
		Attachment: knownAttachment(r.Attachment), Transports: plausibleTransports(r.Transports),
		Flags: r.Flags, SignCount: r.SignCount,
		Extensions: r.Extensions, CreatedAt: now,
	}
	return &Credential{s.clone()}, nil
}

// knownAttachment returns "" for an unknown value (WebAuthn Level 3, section 5.4.5).
func knownAttachment(s string) string {
	if s == "platform" || s == "cross-platform" {
		return s
	}
	return ""
}

// plausibleTransports returns the well-formed transports, also unknown ones (section 5.8.4), sorted and without duplicates.
// Clients receive them again, so that their number and length are limited.
func plausibleTransports(transports []string) []string {
	const maxCount, maxLength = 8, 32
	valid := slices.DeleteFunc(slices.Clone(transports), func(transport string) bool {
		return transport == "" || len(transport) > maxLength || strings.Trim(transport, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	})
	slices.Sort(valid)
	valid = slices.Compact(valid)
	return valid[:min(len(valid), maxCount)]
}

// RestoreCredential returns the passkey with the given state.
func RestoreCredential(s CredentialState) *Credential { return &Credential{s.clone()} }

// State returns a copy of the state, for storage.
func (c *Credential) State() CredentialState { return c.state.clone() }

func (s CredentialState) clone() CredentialState {
	s.PublicKey = slices.Clone(s.PublicKey)
	s.Transports = slices.Clone(s.Transports)
	s.Extensions = slices.Clone(s.Extensions)
	return s
}

func (c *Credential) ID() CredentialID         { return c.state.ID }
func (c *Credential) UserID() UserID           { return c.state.UserID }
func (c *Credential) Name() PasskeyName        { return c.state.Name }
func (c *Credential) Status() CredentialStatus { return c.state.Status }
func (c *Credential) BackupEligible() bool     { return c.state.Flags.BackupEligible() }
func (c *Credential) BackedUp() bool           { return c.state.Flags.BackedUp() }

// Descriptor returns the passkey's descriptor for the client.
func (c *Credential) Descriptor() CredentialDescriptor {
	return CredentialDescriptor{ID: c.state.ID, Transports: slices.Clone(c.state.Transports)}
}

// Rename sets or removes the passkey's name and reports whether it changed.
func (c *Credential) Rename(name PasskeyName) bool {
	changed := c.state.Name != name
	c.state.Name = name
	return changed
}

// Anomaly is a suspicious use of a passkey, reported to its owner or to the operator.
type Anomaly string

const (
	AnomalyNone                     Anomaly = ""
	AnomalyCounterRegressed         Anomaly = "counter_regressed"
	AnomalyBackupEligibilityChanged Anomaly = "backup_eligibility_changed"
	// AnomalyAttestedData is an assertion with attested credential data, which authenticators must not send (WebAuthn Level 3,
	// section 6.1).
	AnomalyAttestedData Anomaly = "attested_again"
)

// Anomalies lists all anomalies.
var Anomalies = []Anomaly{AnomalyCounterRegressed, AnomalyBackupEligibilityChanged, AnomalyAttestedData}

// IndicatesClone reports whether the passkey may have been copied, so that its owner is notified. Other anomalies recur with each
// use of an authenticator, and are only counted.
func (a Anomaly) IndicatesClone() bool {
	return a == AnomalyCounterRegressed || a == AnomalyBackupEligibilityChanged
}

// RecordUse records a verified assertion and returns its anomaly. It returns ErrPasskeySuspended, or a *Rejection. It may change
// the credential and return an error, so that the caller saves the credential in both cases.
//
// If the counter of a device-bound passkey does not increase, its key may have been copied, and the policy decides. The counters of
// synced passkeys (BE set) are stored and not checked, since each of their devices may have a counter of its own.
func (c *Credential) RecordUse(a Assertion, policy UsePolicy, now time.Time) (Anomaly, error) {
	if c.state.Status == CredentialSuspended {
		return AnomalyNone, ErrPasskeySuspended
	}
	if err := a.Flags.Verify(); err != nil {
		return AnomalyNone, err
	}
	anomaly := AnomalyNone
	if a.HasAttestedData {
		anomaly = AnomalyAttestedData
	}
	if a.Flags.BackupEligible() != c.state.Flags.BackupEligible() {
		anomaly = AnomalyBackupEligibilityChanged
		if policy.BackupEligibility != BackupEligibilityAcceptAndRecord {
			return anomaly, Reject(ReasonBackupEligibilityChanged, fmt.Sprintf("BE was %t at registration and is now %t", c.state.Flags.BackupEligible(), a.Flags.BackupEligible()))
		}
	}
	if !c.state.Flags.BackupEligible() && c.counterRegressed(a.SignCount) {
		anomaly = AnomalyCounterRegressed
		c.state.CloneWarning = true
		if policy.Counter == CounterSuspend {
			c.state.Status = CredentialSuspended
		}
		if policy.Counter != CounterFlag {
			return anomaly, Reject(ReasonCounterRegressed, fmt.Sprintf("the counter was %d and is now %d", c.state.SignCount, a.SignCount))
		}
	}
	c.state.SignCount = a.SignCount
	c.state.Flags = c.state.Flags.with(flagBackedUp|flagBackupEligible, a.Flags) | flagUserVerified
	c.state.LastUsedAt = now
	return anomaly, nil
}

// counterRegressed reports whether the counter did not increase. Zero before and now means that the authenticator has no counter
// (WebAuthn Level 3, section 7.2, step 22).
func (c *Credential) counterRegressed(count uint32) bool {
	return (count != 0 || c.state.SignCount != 0) && count <= c.state.SignCount
}
