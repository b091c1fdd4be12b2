package maintenance

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// RPIDs are the RP id that a server is for, and those whose passkeys its operator has given up.
type RPIDs struct {
	Current string
	Retired []string
}

// CheckRPID keeps a server from starting for another RP id than its passkeys were made for. They would open nothing
// any more (WebAuthn Level 3, section 7.2, step 15), nobody would be told why, and whoever came anew would be given a
// passkey that opens nothing when the mistake is mended.
type CheckRPID struct {
	Store ports.Store
	RPIDs RPIDs
}

// Execute returns how many passkeys there are of each RP id that was given up: none of them opens anything. If there are
// any of another one, it fails with a conflict that says how many, of which, and what to do.
func (g *CheckRPID) Execute(ctx context.Context) (abandoned map[string]int, err error) {
	var foreign map[string]int
	err = g.Store.View(ctx, func(tx ports.Tx) error {
		foreign, err = tx.Credentials.CountOtherRPIDs(ctx, g.RPIDs.Current)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for passkeys of other RP ids: %w", err)
	}
	abandoned = map[string]int{}
	orphans := map[string]int{}
	for id, passkeys := range foreign {
		if slices.Contains(g.RPIDs.Retired, id) {
			abandoned[id] = passkeys
		} else {
			orphans[id] = passkeys
		}
	}
	if len(orphans) > 0 {
		return abandoned, g.RPIDs.conflict(orphans)
	}
	return abandoned, nil
}

func (r RPIDs) conflict(orphans map[string]int) error {
	mostFirst := func(a, b string) int { return cmp.Or(cmp.Compare(orphans[b], orphans[a]), cmp.Compare(a, b)) }
	ids := slices.SortedFunc(maps.Keys(orphans), mostFirst)
	counts := make([]string, len(ids))
	for i, id := range ids {
		counts[i] = fmt.Sprintf("%d of %s", orphans[id], id)
	}
	return &domain.Error{
		Kind: domain.KindConflict, Code: "rp_id_changed",
		Message: fmt.Sprintf("the RP id is %s, and there are passkeys of another one: %s. A passkey works with the RP id that it was made for and "+
			"no other, so they would open nothing any more. To keep them, set KEYLODGE_RP_ID, or KEYLODGE_PUBLIC_URL, back to %s; only to give them "+
			"up for good, set KEYLODGE_RETIRED_RP_IDS=%s", r.Current, strings.Join(counts, ", "), ids[0], strings.Join(slices.Concat(r.Retired, ids), ",")),
	}
}
