package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

// Cases of: adapters/postgres.TestContract/Invites, adapters/sqlite.TestContract/Invites
var invites = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		used, revoked := usedInvite("ada"), revokedInvite("ben")
		both := used
		both.RevokedAt = revoked.RevokedAt
		wantComplete(t, both)
		addUsers(t, store, user("ada"))
		addInvites(t, store, invite("other"), used, revoked)
		wantInvite(t, store, used)
		wantInvite(t, store, revoked)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		i := invite("ada")
		i.Email, i.Groups = "", nil
		addInvites(t, store, i)
		wantInvite(t, store, i)
	},

	"an unknown invite is not found": func(t *testing.T, store ports.Store) {
		addInvites(t, store, invite("other"))
		_, err := inviteByToken(t, store, invite("ada").Token)
		wantError(t, err, domain.ErrInviteInvalid)
		_, err = inviteByID(t, store, invite("ada").ID)
		wantError(t, err, domain.ErrInviteNotFound)
		wantError(t, endInvite(t, store, revokedInvite("ada")), domain.ErrInviteUsed)
	},

	"a duplicate id or token is rejected": func(t *testing.T, store ports.Store) {
		first, sameID, sameToken := invite("ada"), invite("ben"), invite("carol")
		sameID.ID, sameToken.Token = first.ID, first.Token
		addInvites(t, store, first)
		for _, duplicate := range []domain.InviteState{sameID, sameToken} {
			if err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Invites.Add(t.Context(), domain.RestoreInvite(duplicate)) }); err == nil {
				t.Errorf("added %+v", duplicate)
			}
		}
		wantInvite(t, store, first)
	},

	"List returns pages by id": func(t *testing.T, store ports.Store) {
		all := []domain.InviteState{invite("a"), invite("b"), invite("c"), invite("d")}
		addInvites(t, store, all...)
		slices.SortFunc(all, func(a, b domain.InviteState) int { return compareIDs(a.ID, b.ID) })
		var got []*domain.Invite
		for after := (domain.InviteID{}); ; {
			page, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Invite, error) {
				return tx.Invites.List(ctx, after, 3)
			})
			wantError(t, err, nil)
			if got = append(got, page...); len(page) < 3 {
				break
			}
			after = page[2].ID()
		}
		wantList(t, got, nil, all...)
	},

	"an ended invite cannot be ended again": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		addInvites(t, store, invite("ada"), invite("ben"))
		wantError(t, endInvite(t, store, usedInvite("ada")), nil)
		wantInvite(t, store, usedInvite("ada"))
		bySecond := usedInvite("ada")
		bySecond.UserID = userID("ben")
		for _, again := range []domain.InviteState{usedInvite("ada"), bySecond, revokedInvite("ada")} {
			wantError(t, endInvite(t, store, again), domain.ErrInviteUsed)
		}
		wantInvite(t, store, usedInvite("ada"))

		wantError(t, endInvite(t, store, revokedInvite("ben")), nil)
		wantError(t, endInvite(t, store, usedInvite("ben")), domain.ErrInviteUsed)
		wantInvite(t, store, revokedInvite("ben"))
	},

	"an invite is not used by a user who does not exist": func(t *testing.T, store ports.Store) {
		addInvites(t, store, invite("ada"))
		if err := endInvite(t, store, usedInvite("ada")); err == nil {
			t.Error("it was used")
		}
		wantInvite(t, store, invite("ada"))
	},

	"of concurrent callers that end one invite, one succeeds": func(t *testing.T, store ports.Store) {
		addInvites(t, store, invite("ada"))
		nth := func(i int) domain.UserState { return user(fmt.Sprint("user", i)) }
		won := wantOneWinner(t, concurrently(concurrentCallers, func(i int) error {
			return store.Update(t.Context(), func(tx ports.Tx) error {
				if err := tx.Users.Add(t.Context(), domain.RestoreUser(nth(i))); err != nil {
					return err
				}
				used := invite("ada")
				used.UsedAt, used.UserID = hour(61), nth(i).ID
				return tx.Invites.End(t.Context(), domain.RestoreInvite(used))
			})
		}), domain.ErrInviteUsed)
		for i := range concurrentCallers {
			if _, err := userByID(t, store, nth(i).ID); (err == nil) != (i == won) {
				t.Errorf("the user of caller %d: %v; caller %d succeeded", i, err, won)
			}
		}
		want := invite("ada")
		want.UsedAt, want.UserID = hour(61), nth(won).ID
		wantInvite(t, store, want)
	},

	"DeleteExpired deletes expired invites, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(70)
		names := []string{"oldest", "older", "now", "soon", "later"}
		addUsers(t, store, user("older"))
		for name, at := range map[string]time.Time{
			"oldest": now.Add(-2 * time.Hour), "older": now.Add(-time.Hour), "now": now, "soon": now.Add(time.Microsecond), "later": now.Add(time.Hour),
		} {
			i := invite(name)
			if name == "older" {
				i = usedInvite(name)
			}
			i.ExpiresAt = at
			addInvites(t, store, i)
		}
		for _, step := range []struct{ deleted, remaining string }{{"2", "[now soon later]"}, {"1", "[soon later]"}, {"0", "[soon later]"}} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.Invites.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, name := range names {
				if _, err := inviteByID(t, store, invite(name).ID); err == nil {
					remaining = append(remaining, name)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}

func revokedInvite(name string) domain.InviteState {
	i := invite(name)
	i.RevokedAt = hour(61)
	return i
}

// wantInvite checks the invite that the store finds by its id and by its token.
func wantInvite(t *testing.T, store ports.Store, want domain.InviteState) {
	t.Helper()
	byID, errID := inviteByID(t, store, want.ID)
	byToken, errToken := inviteByToken(t, store, want.Token)
	wantList(t, []*domain.Invite{byID, byToken}, errors.Join(errID, errToken), want, want)
}

func inviteByID(t *testing.T, store ports.Store, id domain.InviteID) (*domain.Invite, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Invite, error) { return tx.Invites.ByID(ctx, id) })
}

func inviteByToken(t *testing.T, store ports.Store, token domain.TokenDigest) (*domain.Invite, error) {
	t.Helper()
	return get(t, store, func(ctx context.Context, tx ports.Tx) (*domain.Invite, error) { return tx.Invites.ByToken(ctx, token) })
}

func endInvite(t *testing.T, store ports.Store, s domain.InviteState) error {
	t.Helper()
	return store.Update(t.Context(), func(tx ports.Tx) error { return tx.Invites.End(t.Context(), domain.RestoreInvite(s)) })
}
