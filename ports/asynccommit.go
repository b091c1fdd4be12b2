package ports

import "context"

type asyncCommit struct{}

// WithAsyncCommit returns a context with which Store.Update may return before its changes are on disk, so that other Updates do not
// wait for the disk. After a power cut the changes are lost or complete; if a later Update without this context has returned, they
// are complete. It is for changes that a job repeats if they are lost.
func WithAsyncCommit(ctx context.Context) context.Context {
	return context.WithValue(ctx, asyncCommit{}, true)
}

// HasAsyncCommit reports whether ctx comes from WithAsyncCommit.
func HasAsyncCommit(ctx context.Context) bool { return ctx.Value(asyncCommit{}) != nil }
