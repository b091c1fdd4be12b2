package acceptance

import (
	"time"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

func operatorCreatesAUser(e *env) {
	created, err := e.driver.operator().Admin.CreateUser(e.t.Context(), admin.UserInput{Email: "ada@example.org", DisplayName: "Ada", Groups: []domain.Group{"staff"}})
	if err != nil {
		e.t.Fatal(err)
	}
	ada := e.person("Ada", phone)
	ada.email = "ada@example.org"
	e.advance(6 * 24 * time.Hour) // the link is older than that of a recovery may be
	device, grant := ada.apiDevice(), created.Token.Reveal()
	begun := device.mustBeginRecovery(grant)
	ada.requireIdentity(device.api.finishRecovery(grant, begun.challengeID, device.makeCredential(begun)))
	ada.requireEvents(shownEvent{kind: "recovered"}, shownEvent{kind: "account_created"})
	ada.signsOut()
	ada.signsIn()
	ada.requireRejected(device.api.beginRecovery(grant), "invalid_code") // it works once

	late, err := e.driver.operator().Admin.CreateUser(e.t.Context(), admin.UserInput{})
	if err != nil {
		e.t.Fatal(err)
	}
	e.advance(7 * 24 * time.Hour)
	ada.requireRejected(device.api.beginRecovery(late.Token.Reveal()), "invalid_code")
}
