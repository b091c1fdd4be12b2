package ports

// CommitWith returns an error that makes Store.Update commit and return err. It is for a rejection that changes data, such as
// the counter of wrong codes. For a nil err it returns nil.
func CommitWith(err error) error {
	if err == nil {
		return nil
	}
	return commitError{err}
}

// CommitResult reports whether a Store commits after fn returned err, and which error Update then returns.
func CommitResult(err error) (commit bool, result error) {
	if with, ok := err.(commitError); ok { //nolint:errorlint // fn's own error, not one that wraps it
		return true, with.error
	}
	return err == nil, err
}

type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }
