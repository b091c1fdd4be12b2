package ports

import "context"

type withoutSnapshot struct{}

// WithoutSnapshot returns a context with which each read of a Store.View may see a later state than the one before, which saves round
// trips to the database. It is for a View with one read, and for reads that an Update repeats before it relies on them.
func WithoutSnapshot(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutSnapshot{}, true)
}

// NeedsSnapshot reports whether ctx does not come from WithoutSnapshot.
func NeedsSnapshot(ctx context.Context) bool { return ctx.Value(withoutSnapshot{}) == nil }
