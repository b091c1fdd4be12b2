package maintenance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/ports"
)

// RPIDs are the RP ID of the server and those whose passkeys the operator has retired.
type RPIDs struct {
	Current string
	Retired []string
}

// RPIDChangedError reports passkeys whose RP ID is neither the current one nor retired.
type RPIDChangedError struct {
	Current  string
	Passkeys map[string]int // by RP ID
}

func (e *RPIDChangedError) Error() string {
	ids := e.RPIDs()
	counts := make([]string, len(ids))
	for i, id := range ids {
		counts[i] = fmt.Sprintf("%d of %s", e.Passkeys[id], id)
	}
	return fmt.Sprintf("the RP ID is %s, but the database has passkeys of other RP IDs: %s. A passkey can sign in only with the RP ID that it was created for",
		e.Current, strings.Join(counts, ", "))
}

// RPIDs returns the RP IDs of the passkeys, that of the most passkeys first.
func (e *RPIDChangedError) RPIDs() []string {
	return slices.SortedFunc(maps.Keys(e.Passkeys), func(a, b string) int {
		return cmp.Or(cmp.Compare(e.Passkeys[b], e.Passkeys[a]), cmp.Compare(a, b))
	})
}

// CheckRPID returns the number of passkeys of each retired RP ID, and a *RPIDChangedError if there are passkeys of other RP IDs.
// Passkeys cannot sign in with another RP ID than their own (WebAuthn Level 3, section 7.2, step 15). A server with a wrong RP ID must
// not start: its users could not sign in, and passkeys of new users would become useless when the RP ID is corrected.
func (s *Service) CheckRPID(ctx context.Context) (retired map[string]int, err error) {
	var others map[string]int
	err = s.Store.View(ctx, func(tx ports.Tx) error {
		others, err = tx.Credentials.CountOtherRPIDs(ctx, s.RPIDs.Current)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("counting passkeys of other RP IDs: %w", err)
	}
	retired = map[string]int{}
	changed := &RPIDChangedError{Current: s.RPIDs.Current, Passkeys: map[string]int{}}
	for id, passkeys := range others {
		if slices.Contains(s.RPIDs.Retired, id) {
			retired[id] = passkeys
		} else {
			changed.Passkeys[id] = passkeys
		}
	}
	if len(changed.Passkeys) > 0 {
		return retired, changed
	}
	return retired, nil
}
