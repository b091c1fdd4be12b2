package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

var errNotConfirmed = &domain.Error{
	Kind: domain.KindConflict, Code: "not_confirmed",
	Message: "not confirmed, nothing was changed; type the word that the question asks for, or add --yes",
}

// confirmDeletion returns errNotConfirmed unless the operator types the name of the account.
func (p *Program) confirmDeletion(ctx context.Context, a admin.AccountDetails) error {
	name := addressOrID(a.User)
	return p.confirm(ctx, name, "This deletes the account of %s permanently, with %s. Type %s to continue: ", name, pluralize(len(a.Passkeys), "passkey"), name)
}

// confirm prints a question, and returns errNotConfirmed unless the operator types the word that it asks for.
func (p *Program) confirm(ctx context.Context, word, question string, values ...any) error {
	if !p.Interactive {
		return errNotConfirmed
	}
	fmt.Fprint(p.Stderr, printable(fmt.Sprintf(question, values...)))
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.Stdin).ReadString('\n') // an end of input is an empty answer
		typed <- strings.TrimSpace(line)
	}()
	select {
	case answer := <-typed:
		if !strings.EqualFold(answer, word) {
			return errNotConfirmed
		}
		return nil
	case <-ctx.Done():
		fmt.Fprintln(p.Stderr)
		return ctx.Err()
	}
}
