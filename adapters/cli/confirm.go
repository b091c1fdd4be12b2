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
	Message: "not confirmed, so nothing was changed; type what is asked for, or add --yes",
}

// confirmDeletion returns errNotConfirmed unless somebody at the terminal types whose account is to go.
func (p *Program) confirmDeletion(ctx context.Context, a admin.AccountDetails) error {
	whose := addressOrID(a.User)
	return p.confirm(ctx, whose, "The account of %s goes for good, with %s. Type %s to delete it: ", whose, pluralize(len(a.Passkeys), "passkey"), whose)
}

// confirm returns errNotConfirmed unless somebody at the terminal types the word that the question asks for.
func (p *Program) confirm(ctx context.Context, word, question string, values ...any) error {
	if !p.Interactive {
		return errNotConfirmed
	}
	fmt.Fprint(p.Stderr, printable(fmt.Sprintf(question, values...)))
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.Stdin).ReadString('\n') // an end of input is an answer, too: none
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
