package domain

// Passkeys is all passkeys of one user: what has to be known together to let one join or go.
type Passkeys []*Credential

// CheckLimit returns ErrPasskeyLimitReached if no further passkey may join.
func (k Passkeys) CheckLimit(limit PasskeyLimit) error {
	if len(k) >= int(limit) {
		return ErrPasskeyLimitReached
	}
	return nil
}

// ByID returns ErrPasskeyNotFound for a passkey that is not on the ring, also if it is on somebody else's.
func (k Passkeys) ByID(id CredentialID) (*Credential, error) {
	for _, c := range k {
		if c.ID() == id {
			return c, nil
		}
	}
	return nil, ErrPasskeyNotFound
}

// Remove returns the ring after the passkey is gone. It fails with ErrLastPasskey for the only one that opens the
// account, since nobody could come back (WebAuthn Level 3, section 13.4.6): a suspended one beside it opens nothing. It
// fails with ErrPasskeyNotFound for one that is not on the ring.
func (k Passkeys) Remove(id CredentialID) (Passkeys, error) {
	leaving, err := k.ByID(id)
	if err != nil {
		return nil, err
	}
	rest := make(Passkeys, 0, len(k))
	opens := 0
	for _, c := range k {
		if c == leaving {
			continue
		}
		rest = append(rest, c)
		if c.Status() == CredentialActive {
			opens++
		}
	}
	if len(rest) == 0 || opens == 0 && leaving.Status() == CredentialActive {
		return nil, ErrLastPasskey
	}
	return rest, nil
}

// Descriptors names the passkeys to a client.
func (k Passkeys) Descriptors() []CredentialDescriptor {
	list := make([]CredentialDescriptor, len(k))
	for i, c := range k {
		list[i] = c.Descriptor()
	}
	return list
}
