package sessions_test

import (
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/sessions"
)

func BenchmarkAuthenticate(b *testing.B) {
	f := newFixture(b)
	ada := f.addUser("Ada")
	_, cookie := ada.signIn(0)
	app, _ := ada.signInBearer(0)
	for name, presented := range map[string]sessions.PresentedToken{
		"cookie":       {SessionToken: cookie},
		"access token": {AccessToken: f.accessToken(app, 0)},
	} {
		b.Run(name, func(b *testing.B) {
			service := f.at(time.Second)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := service.Authenticate(b.Context(), presented, identity.Client{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
