package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keylodge/keylodge/application"
	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func (p *Program) users() *cobra.Command {
	group := &cobra.Command{
		Use: "users", Short: "Manage users",
		Long: "Manage users. USER is an id or an e-mail address.",
	}
	group.AddCommand(p.listUsers(), p.createUser(), p.showUser(), p.disableUser(), p.enableUser(), p.userGroups(), p.recoverUser(), p.deleteUser())
	return addJSONFlag(group)
}

func (p *Program) listUsers() *cobra.Command {
	const maxFound = 100
	var limit int
	var search string
	cmd := &cobra.Command{
		Use: "list", Short: "List or search the users", Args: noArguments,
		Long: `List the users, oldest first. With --search, list up to 100 whose e-mail address, name or last word of
the name begins with the text. Case and accents make no difference.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case search != "" && !cmd.Flags().Changed("limit"):
				limit = maxFound
			case search != "" && limit > maxFound:
				return invalidArguments(cmd, fmt.Errorf("--limit must be at most %d with --search", maxFound))
			case !cmd.Flags().Changed("limit"):
				limit = math.MaxInt
			case limit < 1:
				return invalidArguments(cmd, errors.New("--limit must be at least 1"))
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				if search == "" {
					return p.printUsers(cmd, func(do func([]*domain.User) error) error { return eachPage(cmd.Context(), usecases.Admin, limit, do) })
				}
				return p.printUsers(cmd, func(do func([]*domain.User) error) error {
					found, err := usecases.Admin.SearchUsers(cmd.Context(), search, limit)
					if err != nil {
						return err
					}
					return do(found)
				})
			})
		},
	}
	cmd.Flags().StringVar(&search, "search", "", "list the users whose address or name begins with `TEXT`")
	cmd.Flags().IntVar(&limit, "limit", 0, "list at most `N` users; by default all")
	return cmd
}

func (p *Program) printUsers(cmd *cobra.Command, list pages[*domain.User]) error {
	if asJSON(cmd) {
		out, err := beginJSONList(p.Stdout, "users")
		if err != nil {
			return err
		}
		err = list(func(page []*domain.User) error {
			for _, u := range page {
				if err := out.add(userOf(u)); err != nil {
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
	t := newTable(p.Stdout, "ID", "CREATED", "STATUS", "EMAIL", "NAME")
	return list(func(page []*domain.User) error {
		t.write(mapSlice(page, func(u *domain.User) []string {
			return []string{u.ID().String(), formatTime(u.CreatedAt()), userStatus(u), string(u.Email()), string(u.DisplayName())}
		})...)
		return nil
	})
}

// eachPage calls do with each page of at most limit users, and with an empty page if there are none.
func eachPage(ctx context.Context, users *admin.Service, limit int, do func([]*domain.User) error) error {
	const size = 100
	var last domain.UserID
	for {
		page, err := users.ListUsers(ctx, last, min(size, limit))
		if err != nil {
			return err
		}
		if err := do(page); err != nil {
			return err
		}
		limit -= len(page)
		if len(page) < size || limit == 0 {
			return nil
		}
		last = page[len(page)-1].ID()
	}
}

func (p *Program) createUser() *cobra.Command {
	var email, name string
	var groups []string
	cmd := &cobra.Command{
		Use: "create", Short: "Create a user, and print the link for the first passkey", Args: noArguments,
		Long: `Create a user without a passkey, and print a link with which the user registers the first one. It
works once, for seven days; users recover prints another one. An address is not verified.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			address, badEmail := domain.ParseEmail("--email", email)
			displayName, badName := domain.ParseDisplayName("--name", name)
			parsed, badGroups := parseGroups("--groups", groups)
			if err := errors.Join(badEmail, badName, badGroups); err != nil {
				return err
			}
			return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
				created, err := usecases.Admin.CreateUser(cmd.Context(), admin.UserInput{Email: address, DisplayName: displayName, Groups: parsed})
				if err != nil {
					return err
				}
				return p.printRecoveryLink(cmd, created)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the e-mail `ADDRESS` of the user")
	cmd.Flags().StringVar(&name, "name", "", "the display `NAME` of the user")
	cmd.Flags().StringSliceVar(&groups, "groups", nil, "put the user into `GROUP`; may be given several times")
	return cmd
}

func (p *Program) showUser() *cobra.Command {
	return &cobra.Command{
		Use: "show USER", Short: "Show a user with passkeys, sessions and latest events", Args: oneArgument,
		Long: `Show a user with all passkeys, up to 100 active sessions, the latest 20 events, and the latest 10
rejections and anomalies, which are counted by day and reason. USER is an id or an e-mail address.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(_ application.UseCases, account admin.AccountDetails) error {
				if asJSON(cmd) {
					return printJSON(p.Stdout, accountOf(account, p.AuthenticatorName))
				}
				p.printAccount(account)
				return nil
			})
		},
	}
}

func (p *Program) disableUser() *cobra.Command {
	return &cobra.Command{
		Use: "disable USER", Short: "Disable an account and revoke its sessions", Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				revoked, err := usecases.Admin.DisableUser(cmd.Context(), userRef(account.User))
				if err != nil {
					return err
				}
				return p.printResult(cmd, changeResult{UserID: account.User.ID().String(), SessionsRevoked: &revoked},
					"User %s is disabled; %s revoked.", addressOrID(account.User), pluralize(revoked, "session"))
			})
		},
	}
}

func (p *Program) enableUser() *cobra.Command {
	return &cobra.Command{
		Use: "enable USER", Short: "Enable a disabled account", Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				if err := usecases.Admin.EnableUser(cmd.Context(), userRef(account.User)); err != nil {
					return err
				}
				return p.printResult(cmd, changeResult{UserID: account.User.ID().String()}, "User %s is enabled.", addressOrID(account.User))
			})
		},
	}
}

func (p *Program) userGroups() *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use: "groups USER", Short: "Show or change the groups of a user", Args: oneArgument,
		Long: `Show the groups of a user, after adding the user to groups and removing the user from others. A group
needs no creation: it is a label for applications that decide by it what a user may do, of 1 to 64
characters a to z, 0 to 9, and . _ : or -. USER is an id or an e-mail address.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			added, err := parseGroups("--add", add)
			if err != nil {
				return err
			}
			removed, err := parseGroups("--remove", remove)
			if err != nil {
				return err
			}
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				user, err := usecases.Admin.ChangeGroups(cmd.Context(), userRef(account.User), added, removed)
				if err != nil {
					return err
				}
				return p.printResult(cmd, changeResult{UserID: user.ID().String(), Groups: new(user.Groups().Strings())},
					"Groups of user %s: %s.", addressOrID(user), cmp.Or(strings.Join(user.Groups().Strings(), ", "), "none"))
			})
		},
	}
	cmd.Flags().StringSliceVar(&add, "add", nil, "add the user to `GROUP`; may be given several times")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "remove the user from `GROUP`; may be given several times")
	return cmd
}

func parseGroups(flag string, texts []string) (groups []domain.Group, err error) {
	for _, text := range texts {
		group, err := domain.ParseGroup(flag, text)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return groups, nil
}

func (p *Program) deleteUser() *cobra.Command {
	var confirmed bool
	cmd := &cobra.Command{
		Use: "delete USER", Short: "Delete an account and all its data, permanently", Args: oneArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withUser(cmd, args[0], func(usecases application.UseCases, account admin.AccountDetails) error {
				if !confirmed {
					if err := p.confirmDeletion(cmd.Context(), account); err != nil {
						return err
					}
				}
				if err := usecases.Admin.DeleteUser(cmd.Context(), userRef(account.User)); err != nil {
					return err
				}
				return p.printResult(cmd, changeResult{UserID: account.User.ID().String()}, "User %s is deleted.", addressOrID(account.User))
			})
		},
	}
	cmd.Flags().BoolVar(&confirmed, "yes", false, "do not ask for confirmation; required without a terminal")
	return cmd
}

// withUser looks up a user by id or e-mail address, and calls act with the account.
func (p *Program) withUser(cmd *cobra.Command, text string, act func(application.UseCases, admin.AccountDetails) error) error {
	ref, err := domain.ParseUserRef("user", text)
	if err != nil {
		return err
	}
	return p.withUseCases(cmd.Context(), func(usecases application.UseCases) error {
		account, err := usecases.Admin.ShowUser(cmd.Context(), ref)
		if err != nil {
			return err
		}
		return act(usecases, account)
	})
}

// userRef refers to a user by id, since the e-mail address can change meanwhile.
func userRef(u *domain.User) domain.UserRef { return domain.UserRef{ID: u.ID()} }

func addressOrID(u *domain.User) string {
	if u.Email() != "" {
		return string(u.Email())
	}
	return u.ID().String()
}

func userStatus(u *domain.User) string {
	if u.Disabled() {
		return "disabled"
	}
	return "active"
}

func pluralize(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
