package ports

// CommitWith returns an error with which the function of Store.Update asks for a commit: Update keeps what it wrote and
// returns err. It is for a rejection that leaves a trace, such as the counter of wrong codes. Of a nil err it returns nil.
func CommitWith(err error) error {
	if err == nil {
		return nil
	}
	return commitError{err}
}

// CommitResult tells a Store what to do after fn has returned err: whether to commit and what Update returns then.
func CommitResult(err error) (commit bool, result error) {
	if with, ok := err.(commitError); ok { //nolint:errorlint // fn's own error, not one that wraps it
		return true, with.error
	}
	return err == nil, err
}

type commitError struct{ error }

func (e commitError) Unwrap() error { return e.error }
