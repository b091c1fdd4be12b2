package domain

// Passkeys are all passkeys of a user.
type Passkeys []*Credential

// CheckLimit returns ErrPasskeyLimitReached if the user cannot add another passkey.
func (p Passkeys) CheckLimit(limit PasskeyLimit) error {
	if len(p) >= int(limit) {
		return ErrPasskeyLimitReached
	}
	return nil
}

// ByID returns the passkey with the id, or ErrPasskeyNotFound if it is not one of the user's.
func (p Passkeys) ByID(id CredentialID) (*Credential, error) {
	for _, c := range p {
		if c.ID() == id {
			return c, nil
		}
	}
	return nil, ErrPasskeyNotFound
}

// Remove returns the passkeys without the one with the id. It returns ErrLastPasskey for the last active passkey, without which the
// user could not sign in (WebAuthn Level 3, section 13.4.6), and ErrPasskeyNotFound if the id is not one of the user's.
func (p Passkeys) Remove(id CredentialID) (Passkeys, error) {
	removed, err := p.ByID(id)
	if err != nil {
		return nil, err
	}
	remaining := make(Passkeys, 0, len(p))
	active := 0
	for _, c := range p {
		if c == removed {
			continue
		}
		remaining = append(remaining, c)
		if c.Status() == CredentialActive {
			active++
		}
	}
	if len(remaining) == 0 || active == 0 && removed.Status() == CredentialActive {
		return nil, ErrLastPasskey
	}
	return remaining, nil
}

// Descriptors returns the descriptors of the passkeys for the client.
func (p Passkeys) Descriptors() []CredentialDescriptor {
	list := make([]CredentialDescriptor, len(p))
	for i, c := range p {
		list[i] = c.Descriptor()
	}
	return list
}
