package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func (p *Program) invites() *cobra.Command {
	group := &cobra.Command{
		Use: "invites", Short: "Manage invites to sign up",
		Long: "Manage invites, which KEYLODGE_REGISTRATION=invite requires for a sign-up.",
	}
	group.AddCommand(p.createInvites(), p.listInvites(), p.revokeInvite())
	return addJSONFlag(group)
}

func (p *Program) createInvites() *cobra.Command {
	var email, expires string
	var groups []string
	var count int
	cmd := &cobra.Command{
		Use: "create", Short: "Create invites, and print their links", Args: noArguments,
		Long: `Create invites, and print their links, which are not stored and cannot be printed again. One person
can sign up with each. With --email, only a sign-up with that address can use it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, badEmail := domain.ParseEmail("--email", email)
			parsed, badGroups := parseGroups("--groups", groups)
			ttl, badTTL := parseDays("--expires", expires)
			if err := errors.Join(badEmail, badGroups, badTTL); err != nil {
				return err
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				created, err := usecases.Admin.CreateInvites(cmd.Context(), admin.InviteInput{Email: address, Groups: parsed, TTL: ttl, Count: count})
				if err != nil {
					return err
				}
				if asJSON(cmd) {
					return printJSON(p.Stdout, map[string][]inviteLink{"invites": mapSlice(created, inviteLinkOf)})
				}
				p.printLine("Give each link to one person only. It works once, until %s:", formatTime(created[0].ExpiresAt()))
				for _, one := range created {
					p.printLine("%s  %s", one.ID(), one.Link.Reveal())
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "only a sign-up with `ADDRESS` can use the invite")
	cmd.Flags().StringSliceVar(&groups, "groups", nil, "put the user into `GROUP`; may be given several times")
	cmd.Flags().StringVar(&expires, "expires", "7d", "the invites expire after `TIME`, such as 7d or 12h, at most 90d")
	cmd.Flags().IntVar(&count, "count", 1, "create `N` invites, at most 100")
	return cmd
}

// parseDays parses a time such as 7d or 12h. It returns an *InvalidInput for the given field.
func parseDays(field, text string) (time.Duration, error) {
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	return 0, domain.Invalid(field, "out_of_range", fmt.Sprintf("%q is not a time such as 7d or 12h", text))
}

func (p *Program) listInvites() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the invites, oldest first", Args: noArguments,
		Long: "List the invites, oldest first, with those that were used or revoked or have expired. An invite is deleted 30 days after its expiry.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error { return p.printInvites(cmd, usecases.Admin) })
		},
	}
}

func (p *Program) printInvites(cmd *cobra.Command, usecases *admin.Service) error {
	list, write := eachInvite(cmd, usecases), p.writeInvites
	if asJSON(cmd) {
		write = p.writeInvitesJSON
	}
	return write(list)
}

// pages calls do with each page of a list, and with an empty page if there are none.
type pages[T any] func(do func(page []T) error) error

func eachInvite(cmd *cobra.Command, usecases *admin.Service) pages[admin.Invite] {
	const size = 100
	return func(do func([]admin.Invite) error) error {
		var last domain.InviteID
		for {
			page, err := usecases.ListInvites(cmd.Context(), last, size)
			if err != nil {
				return err
			}
			if err := do(page); err != nil || len(page) < size {
				return err
			}
			last = page[size-1].ID()
		}
	}
}

func (p *Program) writeInvites(list pages[admin.Invite]) error {
	t := newTable(p.Stdout, "ID", "STATUS", "EXPIRES", "USED BY", "GROUPS", "EMAIL")
	return list(func(page []admin.Invite) error {
		t.write(mapSlice(page, func(i admin.Invite) []string {
			s := i.State()
			user := ""
			if !s.UserID.IsZero() {
				user = s.UserID.String()
			}
			return []string{s.ID.String(), string(i.Status), formatTime(s.ExpiresAt), user, strings.Join(s.Groups.Strings(), ","), string(s.Email)}
		})...)
		return nil
	})
}

func (p *Program) writeInvitesJSON(list pages[admin.Invite]) error {
	out, err := beginJSONList(p.Stdout, "invites")
	if err != nil {
		return err
	}
	err = list(func(page []admin.Invite) error {
		for _, i := range page {
			if err := out.add(inviteOf(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return out.end()
}

func (p *Program) revokeInvite() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "Revoke an invite that was not used", Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := domain.ParseInviteID(args[0])
			if err != nil {
				return invalidArguments(cmd, fmt.Errorf("%q is not the id of an invite; invites list lists them", args[0]))
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				revoked, err := usecases.Admin.RevokeInvite(cmd.Context(), id)
				if err != nil {
					return err
				}
				return p.printResult(cmd, map[string]invite{"invite": inviteOf(revoked)}, "Invite %s is revoked.", id)
			})
		},
	}
}
