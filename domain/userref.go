package domain

// UserRef identifies a user by id or by e-mail address. The zero value identifies none.
type UserRef struct {
	ID    UserID
	Email Email
}

// ParseUserRef parses an id or an e-mail address. It returns an *InvalidInput for the field if s is neither.
func ParseUserRef(field, s string) (UserRef, error) {
	if id, err := ParseUserID(s); err == nil {
		return UserRef{ID: id}, nil
	}
	email, err := ParseEmail(field, s)
	if err != nil || email == "" {
		return UserRef{}, Invalid(field, "invalid_user", "name the user by id or by e-mail address")
	}
	return UserRef{Email: email}, nil
}

// String returns the e-mail address, or else the id.
func (r UserRef) String() string {
	if r.Email != "" {
		return string(r.Email)
	}
	return r.ID.String()
}
