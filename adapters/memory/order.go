package memory

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// identifier is any of the domain's ids. Their text sorts as they do: by time.
type identifier interface {
	fmt.Stringer
	IsZero() bool
}

func compareIDs(a, b identifier) int { return strings.Compare(a.String(), b.String()) }

// isBefore reports whether id belongs to a list that goes down from the given one, or for its zero value from the top.
func isBefore(id, from identifier) bool { return from.IsZero() || compareIDs(id, from) < 0 }

// sweep deletes up to limit entries that ended at or before the given time, oldest end first.
func sweep[K comparable, V any](all map[K]V, end func(V) time.Time, before time.Time, limit int) int {
	var over []K
	for k, v := range all {
		if !end(v).After(before) {
			over = append(over, k)
		}
	}
	slices.SortFunc(over, func(a, b K) int { return end(all[a]).Compare(end(all[b])) })
	over = over[:min(limit, len(over))]
	for _, k := range over {
		delete(all, k)
	}
	return len(over)
}
