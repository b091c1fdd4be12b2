package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Credential is a passkey as the server knows it: the credential record of WebAuthn Level 3, section 4, kept whole, so
// that an attestation can be judged again later.
type Credential struct{ state CredentialState }

// CredentialState is a credential's state as storage keeps it.
type CredentialState struct {
	ID         CredentialID `export:"id"`
	UserID     UserID
	Name       PasskeyName        `export:"name,omitempty"` // "" if the person gave none
	Status     CredentialStatus   `export:"status"`
	RPID       string             `export:"rp_id"`
	PublicKey  []byte             `export:"public_key"` // COSE_Key, in CTAP2 canonical CBOR
	Algorithm  int64              `export:"algorithm"`  // COSE algorithm identifier of PublicKey
	AAGUID     AAGUID             `export:"aaguid"`
	Attachment string             `export:"attachment,omitempty"` // "platform", "cross-platform" or "" if the client did not say
	Transports []string           `export:"transports,omitempty"`
	Flags      AuthenticatorFlags `export:"flags"` // UV latched from any use, BS as of the last one
	SignCount  uint32             `export:"sign_count"`
	// CloneWarning is set for good once the counter of a device-bound passkey failed to advance.
	CloneWarning bool        `export:"clone_warning"`
	Attestation  Attestation `export:"attestation"`
	Extensions   []byte      `export:"extensions,omitempty"` // JSON of the extension results worth keeping
	CreatedAt    time.Time   `export:"created_at"`
	LastUsedAt   time.Time   `export:"last_used_at,omitzero"` // zero if never used since it was made
}

// Attestation is what the authenticator said at registration, byte for byte.
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

// CredentialDescriptor is how a ceremony names a passkey to the client (WebAuthn Level 3, section 5.8.3).
type CredentialDescriptor struct {
	ID         CredentialID
	Transports []string
}

// Registration is what a verified registration ceremony states about a new passkey.
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

// Assertion is what a verified authentication ceremony states about the use of a passkey.
type Assertion struct {
	Flags           AuthenticatorFlags
	SignCount       uint32
	HasAttestedData bool // the authenticator sent attested credential data, those of this passkey
}

// NewCredential makes the passkey of a verified registration owner's. The flags are held to AuthenticatorFlags.Verify.
func NewCredential(owner UserID, name PasskeyName, r Registration, now time.Time) (*Credential, error) {
	if err := r.Flags.Verify(); err != nil {
		return nil, err
	}
	s := CredentialState{
		ID: r.CredentialID, UserID: owner, Name: name, Status: CredentialActive, RPID: r.RPID,
		PublicKey: r.PublicKey, Algorithm: r.Algorithm, AAGUID: r.AAGUID,
		Attachment: knownAttachment(r.Attachment), Transports: plausibleTransports(r.Transports),
		Flags: r.Flags, SignCount: r.SignCount,
		Attestation: r.Attestation, Extensions: r.Extensions, CreatedAt: now,
	}
	return &Credential{s.clone()}, nil
}

// knownAttachment follows WebAuthn Level 3, section 5.4.5: an unknown value is as good as none.
func knownAttachment(s string) string {
	if s == "platform" || s == "cross-platform" {
		return s
	}
	return ""
}

// plausibleTransports keeps the hints that could be one, also those that are not known yet (section 5.8.4), without
// repetition and sorted. They go back to clients as they are, so there are few and short ones.
func plausibleTransports(hints []string) []string {
	const most, longest = 8, 32
	kept := slices.DeleteFunc(slices.Clone(hints), func(hint string) bool {
		return hint == "" || len(hint) > longest || strings.Trim(hint, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	})
	slices.Sort(kept)
	kept = slices.Compact(kept)
	return kept[:min(len(kept), most)]
}

// RestoreCredential is storage's way back from a snapshot.
func RestoreCredential(s CredentialState) *Credential { return &Credential{s.clone()} }

// State is storage's way in.
func (c *Credential) State() CredentialState { return c.state.clone() }

func (s CredentialState) clone() CredentialState {
	s.PublicKey = slices.Clone(s.PublicKey)
	s.Transports = slices.Clone(s.Transports)
	s.Attestation.Object = slices.Clone(s.Attestation.Object)
	s.Attestation.AuthenticatorData = slices.Clone(s.Attestation.AuthenticatorData)
	s.Attestation.ClientDataJSON = slices.Clone(s.Attestation.ClientDataJSON)
	s.Extensions = slices.Clone(s.Extensions)
	return s
}

func (c *Credential) ID() CredentialID         { return c.state.ID }
func (c *Credential) UserID() UserID           { return c.state.UserID }
func (c *Credential) Name() PasskeyName        { return c.state.Name }
func (c *Credential) Status() CredentialStatus { return c.state.Status }
func (c *Credential) BackupEligible() bool     { return c.state.Flags.BackupEligible() }
func (c *Credential) BackedUp() bool           { return c.state.Flags.BackedUp() }

// Descriptor names the passkey to a client.
func (c *Credential) Descriptor() CredentialDescriptor {
	return CredentialDescriptor{ID: c.state.ID, Transports: slices.Clone(c.state.Transports)}
}

// Rename gives the passkey another name, or none, and reports whether that changed anything.
func (c *Credential) Rename(name PasskeyName) bool {
	changed := c.state.Name != name
	c.state.Name = name
	return changed
}

// Anomaly is something odd about the use of a passkey that its owner and the operator should hear of.
type Anomaly string

const (
	AnomalyNone                     Anomaly = ""
	AnomalyCounterRegressed         Anomaly = "counter_regressed"
	AnomalyBackupEligibilityChanged Anomaly = "backup_eligibility_changed"
	// AnomalyAttestedData is an assertion with attested credential data, which authenticators must not send (WebAuthn Level 3,
	// section 6.1).
	AnomalyAttestedData Anomaly = "attested_again"
)

// Anomalies are all of them.
var Anomalies = []Anomaly{AnomalyCounterRegressed, AnomalyBackupEligibilityChanged, AnomalyAttestedData}

// IndicatesClone reports whether the finding may mean a copied key, and concerns the passkey's owner. Others are the habit of an
// authenticator, which comes with each sign-in, and are counted only.
func (f Anomaly) IndicatesClone() bool {
	return f == AnomalyCounterRegressed || f == AnomalyBackupEligibilityChanged
}

// RecordUse notes a verified assertion. It may leave a mark and refuse at once: whoever calls it saves the credential
// first and returns the error afterwards, or the mark is lost.
//
// A device-bound passkey whose counter failed to advance means that there are two copies of its key: the policy says
// what follows. The counters of synced passkeys (BE set) are kept and never judged, since each of their devices may
// count for itself.
func (c *Credential) RecordUse(a Assertion, policy UsePolicy, now time.Time) (Anomaly, error) {
	if c.state.Status == CredentialSuspended {
		return AnomalyNone, ErrPasskeySuspended
	}
	if err := a.Flags.Verify(); err != nil {
		return AnomalyNone, err
	}
	finding := AnomalyNone
	if a.HasAttestedData {
		finding = AnomalyAttestedData
	}
	if a.Flags.BackupEligible() != c.state.Flags.BackupEligible() {
		finding = AnomalyBackupEligibilityChanged
		if policy.BackupEligibility != BackupEligibilityAcceptAndRecord {
			return finding, Reject(ReasonBackupEligibilityChanged, fmt.Sprintf("BE was %t at registration and is %t now", c.state.Flags.BackupEligible(), a.Flags.BackupEligible()))
		}
	}
	if !c.state.Flags.BackupEligible() && c.counterRegressed(a.SignCount) {
		finding = AnomalyCounterRegressed
		c.state.CloneWarning = true
		if policy.Counter == CounterSuspend {
			c.state.Status = CredentialSuspended
		}
		if policy.Counter != CounterFlag {
			return finding, Reject(ReasonCounterRegressed, fmt.Sprintf("the counter was %d and is %d now", c.state.SignCount, a.SignCount))
		}
	}
	c.state.SignCount = a.SignCount
	c.state.Flags = c.state.Flags.with(flagBackedUp|flagBackupEligible, a.Flags) | flagUserVerified
	c.state.LastUsedAt = now
	return finding, nil
}

// counterRegressed follows WebAuthn Level 3, section 7.2, step 22: zero on both sides means that the authenticator counts
// nothing.
func (c *Credential) counterRegressed(count uint32) bool {
	return (count != 0 || c.state.SignCount != 0) && count <= c.state.SignCount
}
