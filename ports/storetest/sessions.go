package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

var sessions = rules{
	"every field is stored": func(t *testing.T, store ports.Store) {
		s := session("ada", "phone")
		wantComplete(t, s)
		addUsers(t, store, user("ada"))
		addSessions(t, store, session("ada", "laptop"), s)
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
		got, err = sessionByID(t, store, s.ID)
		wantSame(t, got, err, s)
	},

	"optional fields stay empty": func(t *testing.T, store ports.Store) {
		s := activeSession("ada", "phone")
		s.AMR, s.Device, s.PreviousToken, s.RotatedAt = nil, domain.Device{}, domain.TokenDigest{}, time.Time{}
		addUsers(t, store, user("ada"))
		addSessions(t, store, s)
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
	},

	"a token is compared byte for byte": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		withToken := func(tag string, token domain.TokenDigest) domain.SessionState {
			s := activeSession("ada", tag)
			s.Token = token
			return s
		}
		all := []domain.SessionState{
			withToken("zeros", domain.TokenDigest{}),
			withToken("a", domain.TokenDigest{0: 'a'}),
			withToken("A", domain.TokenDigest{0: 'A'}),
			withToken("end", domain.TokenDigest{31: 1}),
			withToken("invalid UTF-8", domain.TokenDigest{0: 0xff, 1: 0xc3, 31: 0xfe}),
		}
		addSessions(t, store, all...)
		for _, s := range all {
			got, err := sessionByToken(t, store, s.Token)
			wantSame(t, got, err, s)
		}
		_, err := sessionByToken(t, store, domain.TokenDigest{31: 2})
		wantError(t, err, domain.ErrUnauthenticated)
	},

	"the previous token is not found": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		addSessions(t, store, activeSession("ada", "phone"))
		_, err := sessionByToken(t, store, activeSession("ada", "phone").PreviousToken)
		wantError(t, err, domain.ErrUnauthenticated)
	},

	"a session is found together with its user": func(t *testing.T, store ports.Store) {
		ada, ben := user("ada"), user("ben")
		addUsers(t, store, ada, ben)
		for owner, s := range map[string]domain.SessionState{"ada": session("ada", "phone"), "ben": activeSession("ben", "laptop")} {
			addSessions(t, store, s)
			for name, find := range map[string]func(context.Context, ports.Tx) (*domain.Session, *domain.User, error){
				"token": func(ctx context.Context, tx ports.Tx) (*domain.Session, *domain.User, error) {
					return tx.Sessions.ByTokenWithUser(ctx, s.Token)
				},
				"id": func(ctx context.Context, tx ports.Tx) (*domain.Session, *domain.User, error) {
					return tx.Sessions.ByIDWithUser(ctx, s.ID)
				},
			} {
				t.Run(owner+"'s by "+name, func(t *testing.T) {
					var found *domain.User
					got, err := get(t, store, func(ctx context.Context, tx ports.Tx) (got *domain.Session, err error) {
						got, found, err = find(ctx, tx)
						return got, err
					})
					wantSame(t, got, err, s)
					wantSame(t, found, err, user(owner))
				})
			}
		}
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Users.Remove(ctx, ada.ID) })
		_, err := get(t, store, func(ctx context.Context, tx ports.Tx) (s *domain.Session, err error) {
			s, _, err = tx.Sessions.ByTokenWithUser(ctx, session("ada", "phone").Token)
			return s, err
		})
		wantError(t, err, domain.ErrUnauthenticated)
		_, err = get(t, store, func(ctx context.Context, tx ports.Tx) (s *domain.Session, err error) {
			s, _, err = tx.Sessions.ByIDWithUser(ctx, session("ada", "phone").ID)
			return s, err
		})
		wantError(t, err, domain.ErrSessionNotFound)
	},

	"a duplicate id or token is rejected": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		first, sameID, sameToken := activeSession("ada", "first"), activeSession("ada", "second"), activeSession("ada", "third")
		sameID.ID, sameToken.Token = first.ID, first.Token
		addSessions(t, store, first)
		for _, s := range []domain.SessionState{sameID, sameToken} {
			err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Add(t.Context(), domain.RestoreSession(s)) })
			if err == nil {
				t.Fatal("the duplicate was added")
			}
			got, err := sessionByToken(t, store, first.Token)
			wantSame(t, got, err, first)
			got, err = sessionByID(t, store, first.ID)
			wantSame(t, got, err, first)
		}
	},

	"an unknown session is not found and not saved": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"))
		s := activeSession("ada", "phone")
		err := store.Update(t.Context(), func(tx ports.Tx) error { return tx.Sessions.Save(t.Context(), domain.RestoreSession(s)) })
		wantError(t, err, domain.ErrUnauthenticated)
		_, err = sessionByToken(t, store, s.Token)
		wantError(t, err, domain.ErrUnauthenticated)
		_, err = sessionByID(t, store, s.ID)
		wantError(t, err, domain.ErrSessionNotFound)
	},

	"Save stores every mutable field": func(t *testing.T, store ports.Store) {
		before := activeSession("ada", "phone")
		before.PreviousToken, before.RotatedAt = domain.TokenDigest{}, time.Time{}
		after := before
		after.CredentialID = "another"
		after.Token = domain.TokenDigest(fixedBytes("another token", 32))
		after.PreviousToken, after.RotatedAt = before.Token, hour(19)
		after.Assurance = "recovery"
		after.AMR = []string{"swk"}
		after.Device = domain.Device{Name: "Chrome on Android", UserAgent: "Mozilla/5.0 (Linux; Android 16)", IP: "192.0.2.9"}
		after.AuthTime, after.LastSeenAt, after.IdleEndsAt, after.ExpiresAt, after.RevokedAt = hour(20), hour(21), hour(22), hour(23), hour(24)
		wantChanged(t, before, after, "ID", "UserID", "Transport", "CreatedAt")
		other := activeSession("ada", "laptop")
		addUsers(t, store, user("ada"))
		addSessions(t, store, before, other)
		for _, state := range []domain.SessionState{after, before} {
			update(t, store, func(ctx context.Context, tx ports.Tx) error {
				return tx.Sessions.Save(ctx, domain.RestoreSession(state))
			})
			got, err := sessionByToken(t, store, state.Token)
			wantSame(t, got, err, state)
		}
		_, err := sessionByToken(t, store, after.Token)
		wantError(t, err, domain.ErrUnauthenticated)
		got, err := sessionByToken(t, store, other.Token)
		wantSame(t, got, err, other)
	},

	"ListActive and ListAllActive omit revoked and expired sessions": func(t *testing.T, store ports.Store) {
		now, soon := hour(50), hour(50).Add(time.Microsecond)
		ending := func(tag string, idleEnd, end, revoked time.Time) domain.SessionState {
			s := session("ada", tag)
			s.IdleEndsAt, s.ExpiresAt, s.RevokedAt = idleEnd, end, revoked
			return s
		}
		never := time.Time{}
		addUsers(t, store, user("ada"))
		addSessions(t, store,
			ending("lasts", hour(60), hour(70), never),
			ending("idles until soon", soon, hour(70), never),
			ending("expires soon", soon, soon, never),
			ending("idle since now", now, hour(70), never),
			ending("expired now", now, now, never),
			ending("idle for long", hour(40), hour(70), never),
			ending("expired long ago", hour(30), hour(40), never),
			ending("revoked long ago", hour(60), hour(70), hour(1)),
			ending("revoked now", hour(60), hour(70), now),
			ending("revoked by a clock that is ahead", hour(60), hour(70), hour(55)))
		all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Session, error) {
			return tx.Sessions.ListActive(ctx, userID("ada"), now, domain.SessionID{}, 99)
		})
		want := []domain.SessionState{
			ending("lasts", hour(60), hour(70), never),
			ending("idles until soon", soon, hour(70), never),
			ending("expires soon", soon, soon, never),
		}
		slices.SortFunc(want, func(a, b domain.SessionState) int { return compareIDs(b.ID, a.ID) })
		wantList(t, all, err, want...)
		all, err = get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Session, error) {
			return tx.Sessions.ListAllActive(ctx, now, domain.SessionID{}, 99)
		})
		slices.Reverse(want)
		wantList(t, all, err, want...)
	},

	"ListAllActive returns the sessions of all users in pages, by id": func(t *testing.T, store ports.Store) {
		addUsers(t, store, user("ada"), user("ben"))
		var want []domain.SessionID
		for i := range 6 {
			owner := []string{"ada", "ben"}[i%2]
			active, ended := activeSession(owner, fmt.Sprint("session", i)), session(owner, fmt.Sprint("ended", i))
			addSessions(t, store, active, ended)
			want = append(want, active.ID)
		}
		slices.SortFunc(want, compareIDs)
		wantPages(t, want, func(after domain.SessionID, limit int) ([]domain.SessionID, error) {
			all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Session, error) {
				return tx.Sessions.ListAllActive(ctx, hour(5), after, limit)
			})
			return idsOf(all), err
		})
	},

	"ListActive returns the user's sessions in pages, newest id first": func(t *testing.T, store ports.Store) {
		page := func(owner string) func(domain.SessionID, int) ([]domain.SessionID, error) {
			return func(before domain.SessionID, limit int) ([]domain.SessionID, error) {
				all, err := get(t, store, func(ctx context.Context, tx ports.Tx) ([]*domain.Session, error) {
					return tx.Sessions.ListActive(ctx, userID(owner), hour(5), before, limit)
				})
				return idsOf(all), err
			}
		}
		addUsers(t, store, user("ada"), user("ben"), user("cem"))
		ids := map[string][]domain.SessionID{}
		for i := range 6 { // two in each millisecond, with ended ones and those of another user between them
			for _, owner := range []string{"ada", "ben"} {
				tag := fmt.Sprint("session", i)
				lasting, ended := activeSession(owner, tag), session(owner, tag+" ended")
				lasting.ID = domain.NewSessionID(hour(3-i/2), randomSource(owner+tag))
				lasting.CreatedAt = hour(i)
				ended.ID = domain.NewSessionID(hour(3-i/2), randomSource(owner+tag+" ended"))
				addSessions(t, store, lasting, ended)
				ids[owner] = append(ids[owner], lasting.ID)
			}
		}
		for owner, want := range ids {
			slices.SortFunc(want, func(a, b domain.SessionID) int { return compareIDs(b, a) })
			wantPages(t, want, page(owner))
		}
		wantPages(t, nil, page("cem"))
		wantPages(t, nil, page("unknown"))
		wantPageFrom(t, ids["ada"], ids["ben"][2], page("ada"))
	},

	"returned aggregates are copies": func(t *testing.T, store ports.Store) {
		s := activeSession("ada", "phone")
		addUsers(t, store, user("ada"))
		given := domain.RestoreSession(s)
		update(t, store, func(ctx context.Context, tx ports.Tx) error { return tx.Sessions.Add(ctx, given) })
		given.Revoke(hour(20))
		got, err := sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
		got.Revoke(hour(21))
		got, err = sessionByToken(t, store, s.Token)
		wantSame(t, got, err, s)
	},

	"DeleteExpired deletes ended sessions, oldest first, up to the limit": func(t *testing.T, store ports.Store) {
		now := hour(50)
		addUsers(t, store, user("ada"))
		idle := func(tag string, at time.Time) domain.SessionState {
			s := activeSession("ada", tag)
			s.IdleEndsAt, s.ExpiresAt = at, at.Add(time.Hour)
			return s
		}
		revoked := func(tag string, at time.Time) domain.SessionState {
			s := idle(tag, now.Add(24*time.Hour))
			s.RevokedAt = at
			return s
		}
		all := []domain.SessionState{
			idle("idle now", now), revoked("revoked now", now), idle("idle soon", now.Add(time.Microsecond)),
			revoked("revoked long ago", now.Add(-2*time.Hour)), idle("idle for long", now.Add(-3*time.Hour)),
			revoked("revoked soon", now.Add(time.Microsecond)), idle("lasting", now.Add(48*time.Hour)),
		}
		addSessions(t, store, all...)
		for _, step := range []struct{ deleted, remaining string }{
			{"2", "[idle now revoked now idle soon revoked soon lasting]"},
			{"2", "[idle soon revoked soon lasting]"},
			{"0", "[idle soon revoked soon lasting]"},
		} {
			var deleted int
			update(t, store, func(ctx context.Context, tx ports.Tx) (err error) {
				deleted, err = tx.Sessions.DeleteExpired(ctx, now, 2)
				return err
			})
			remaining := []string{}
			for _, tag := range []string{"idle for long", "revoked long ago", "idle now", "revoked now", "idle soon", "revoked soon", "lasting"} {
				if _, err := sessionByToken(t, store, activeSession("ada", tag).Token); err == nil {
					remaining = append(remaining, tag)
				}
			}
			if fmt.Sprint(deleted) != step.deleted || fmt.Sprint(remaining) != step.remaining {
				t.Fatalf("deleted %d, remaining %v; want %s, %s", deleted, remaining, step.deleted, step.remaining)
			}
		}
	},
}
