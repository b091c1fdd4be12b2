package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

// followInterval is the time after which a command that follows the events asks for more.
const followInterval = 2 * time.Second

func (p *Program) events() *cobra.Command {
	var user, after string
	var kinds []string
	var follow bool
	cmd := &cobra.Command{
		Use: "events", Short: "Print the events of all users, oldest first", Args: noArguments,
		Long: `Print the events of all users, oldest first. With --json, each event is one line (JSON Lines). An
event is printed ten seconds after it occurred, since its order is certain only then. To continue
later, pass the id of the last event to --after.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := parseEventFilter(user, kinds, after)
			if err != nil {
				return err
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				return p.printEvents(cmd, usecases.Admin, filter, follow)
			})
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "wait for further events until interrupted")
	cmd.Flags().StringVar(&user, "user", "", "print the events of `USER` only: an id or an e-mail address")
	cmd.Flags().StringSliceVar(&kinds, "kind", nil, "print events of `KIND` only; may be given several times")
	cmd.Flags().StringVar(&after, "after", "", "print the events after that with the id `CURSOR`")
	return addJSONFlag(cmd)
}

type eventFilter struct {
	user  domain.UserRef
	kinds []domain.EventKind
	after domain.EventID
}

func parseEventFilter(user string, kinds []string, after string) (filter eventFilter, err error) {
	var badUser, badAfter, badKind error
	if user != "" {
		filter.user, badUser = domain.ParseUserRef("--user", user)
	}
	if after != "" {
		if filter.after, err = domain.ParseEventID(after); err != nil {
			badAfter = domain.Invalid("--after", "invalid_cursor", fmt.Sprintf("%q is not the id of an event", after))
		}
	}
	for _, kind := range kinds {
		if !slices.Contains(domain.AllEventKinds(), domain.EventKind(kind)) {
			badKind = domain.Invalid("--kind", "unknown_kind", fmt.Sprintf("there is no kind of event %q", kind))
		}
		filter.kinds = append(filter.kinds, domain.EventKind(kind))
	}
	return filter, domain.JoinInvalid(badUser, badAfter, badKind)
}

func (p *Program) printEvents(cmd *cobra.Command, usecases *admin.Service, filter eventFilter, follow bool) error {
	const size = 500
	write := p.eventWriter(asJSON(cmd))
	for {
		page, err := usecases.ListEvents(cmd.Context(), admin.EventFilter{User: filter.user, Kinds: filter.kinds}, filter.after, size)
		if err == nil {
			err = write(page.Events)
		}
		if err == nil && !page.More && follow {
			err = p.Pause(cmd.Context(), followInterval)
		}
		if follow && errors.Is(err, context.Canceled) {
			return nil // the operator has interrupted it
		}
		if err != nil || !page.More && !follow {
			return err
		}
		filter.after = page.Next
	}
}

// eventWriter returns a function that prints events as JSON Lines or as text, at once.
func (p *Program) eventWriter(asJSON bool) func([]*domain.Event) error {
	var write func([]*domain.Event) error
	if asJSON {
		write = func(events []*domain.Event) error {
			for _, e := range events {
				text, err := json.Marshal(managedEventOf(e))
				if err != nil {
					return err
				}
				if _, err := io.WriteString(p.Stdout, printableJSON(string(text))+"\n"); err != nil {
					return err
				}
			}
			return nil
		}
	} else {
		t := newTable(p.Stdout, "AT", "EVENT", "ACTOR", "USER", "IP", "ID")
		write = func(events []*domain.Event) error {
			t.write(mapSlice(events, func(e *domain.Event) []string {
				s, user := e.State(), ""
				if !s.UserID.IsZero() {
					user = s.UserID.String()
				}
				return []string{formatTime(s.At), string(s.Kind), string(s.Actor), user, s.IP, s.ID.String()}
			})...)
			return nil
		}
	}
	return func(events []*domain.Event) error {
		if err := write(events); err != nil {
			return err
		}
		if buffered, is := p.Stdout.(*bufio.Writer); is {
			return buffered.Flush()
		}
		return nil
	}
}
