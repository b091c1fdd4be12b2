package httpapi

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// Whatever signs up, in or on, and whatever changes something, is limited. Signing out and ending sessions is not: nobody is
// to wait before they can shut a thief out.
func (s *server) route(app *fiber.App) {
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	s.routeWellKnown(app)
	app.Get("/.well-known/jwks.json", s.jwks)
	app.Get("/openapi.json", s.getOpenAPI)

	v1 := app.Group("/v1", s.guardOrigin, noStore, s.guardCookies, requireJSON)
	v1.Get("/config", s.getConfig)
	v1.Post("/signup/options", s.limit(domain.RateSignUp, emailIn), s.signUpOptions)
	v1.Post("/signup/verify", s.limit(domain.RateSignUp, nobody), s.evenly(namesAccount), s.signUpVerify)
	v1.Post("/login/options", s.limit(domain.RateLogin, emailIn), s.evenly(namesAccount), s.loginOptions)
	v1.Post("/login/verify", s.limit(domain.RateLogin, nobody), s.evenly(refused), s.loginVerify)

	v1.Get("/session", s.signedIn(s.getSession))
	v1.Delete("/session", s.deleteSession)
	v1.Post("/session/refresh", s.limit(domain.RateRefresh, nobody), s.refreshSession)
	v1.Post("/session/token", s.limited(domain.RateChange, s.mintToken)...)
	v1.Post("/session/step-up/options", s.limited(domain.RateStepUp, s.stepUpOptions)...)
	v1.Post("/session/step-up/verify", s.limited(domain.RateStepUp, s.stepUpVerify)...)
	v1.Get("/csrf", s.signedIn(s.getCSRF))

	v1.Get("/me", s.signedIn(s.getAccount))
	v1.Patch("/me", slices.Insert(s.limited(domain.RateChange, s.patchAccount), 0, s.evenly(namesAccount))...)
	v1.Delete("/me", s.limited(domain.RateChange, s.deleteAccount)...)
	v1.Post("/me/email/code", slices.Insert(s.limited(domain.RateCode, s.sendEmailCode), 0, s.evenly(namesAccount))...)
	v1.Post("/me/email/confirm", s.limited(domain.RateCode, s.confirmEmail)...)
	v1.Get("/me/passkeys", s.signedIn(s.listPasskeys))
	v1.Post("/me/passkeys/options", s.limited(domain.RateChange, s.addPasskeyOptions)...)
	v1.Post("/me/passkeys/verify", slices.Insert(s.limited(domain.RateChange, s.addPasskeyVerify), 0, s.evenly(refused))...)
	v1.Patch("/me/passkeys/:id", s.limited(domain.RateChange, s.renamePasskey)...)
	v1.Delete("/me/passkeys/:id", s.limited(domain.RateChange, s.deletePasskey)...)
	v1.Get("/me/sessions", s.signedIn(s.listSessions))
	v1.Delete("/me/sessions", s.signedIn(s.revokeOtherSessions))
	v1.Delete("/me/sessions/:id", s.signedIn(s.revokeSession))
	v1.Get("/me/events", s.signedIn(s.listEvents))
	v1.Get("/me/recovery", s.signedIn(s.getRecovery))
	v1.Post("/me/recovery/totp", s.limited(domain.RateChange, s.setUpTOTP)...)
	v1.Post("/me/recovery/totp/confirm", s.limited(domain.RateCode, s.confirmTOTP)...)
	v1.Delete("/me/recovery/totp", s.limited(domain.RateChange, s.removeTOTP)...)
	v1.Post("/me/recovery/backup-codes", s.limited(domain.RateChange, s.makeBackupCodes)...)

	v1.Post("/recovery/redeem", s.limit(domain.RateRecovery, ownerIn), s.evenly(refused), s.redeem)
	v1.Post("/recovery/options", s.limit(domain.RateRecovery, nobody), s.recoveryOptions)
	v1.Post("/recovery/verify", s.limit(domain.RateRecovery, nobody), s.evenly(refused), s.recoveryVerify)
}

// noStore keeps answers about a person out of every cache.
func noStore(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Next()
}
