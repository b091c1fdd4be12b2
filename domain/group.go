package domain

import (
	"fmt"
	"slices"
	"strings"
)

// Group is a label that the operator gives to users, and on which applications base what a user may do.
type Group string

// Groups are the groups of a user, in alphabetical order.
type Groups []Group

// Strings returns the groups as text; no groups are an empty list, not nil.
func (g Groups) Strings() []string {
	texts := make([]string, len(g))
	for i, group := range g {
		texts[i] = string(group)
	}
	return texts
}

const (
	maxGroupLength   = 64
	maxGroupsPerUser = 100
)

// ParseGroup parses a group: 1 to 64 of the characters a to z, 0 to 9, ".", "_", ":" and "-"; the first is one of a to z or 0 to
// 9. So a list of groups needs no escapes in a header or in a URL, and two groups never differ in case
// only. ParseGroup returns an *InvalidInput for the given field of the request.
func ParseGroup(field, s string) (Group, error) {
	isOther := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if s == "" || len(s) > maxGroupLength || isOther(rune(s[0])) ||
		strings.ContainsFunc(s, func(r rune) bool { return isOther(r) && !strings.ContainsRune("._:-", r) }) {
		return "", Invalid(field, "invalid_group", fmt.Sprintf("a group has 1 to %d of the characters a to z, 0 to 9, and . _ : -, and begins with one of a to z or 0 to 9", maxGroupLength))
	}
	return Group(s), nil
}

// ChangeGroups adds the user to groups, removes the user from others, and reports whether that changed anything. It returns an
// *InvalidInput and changes nothing if the user would have more than 100 groups.
func (u *User) ChangeGroups(add, remove []Group) (changed bool, err error) {
	groups := slices.Concat(u.state.Groups, add)
	slices.Sort(groups)
	groups = slices.DeleteFunc(slices.Compact(groups), func(g Group) bool { return slices.Contains(remove, g) })
	if len(groups) > maxGroupsPerUser {
		return false, tooManyGroups()
	}
	if slices.Equal(groups, u.state.Groups) {
		return false, nil
	}
	u.state.Groups = groups
	return true, nil
}

func tooManyGroups() error {
	return Invalid("groups", "too_many", fmt.Sprintf("a user has at most %d groups", maxGroupsPerUser))
}

// Groups returns a copy of the user's groups.
func (u *User) Groups() Groups { return slices.Clone(u.state.Groups) }
