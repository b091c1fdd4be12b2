package httpapi

import "github.com/gofiber/fiber/v2"

func (s *server) route(app *fiber.App) {
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	s.routeWellKnown(app)
	app.Get("/.well-known/jwks.json", s.jwks)
	app.Get("/openapi.json", s.getOpenAPI)

	v1 := app.Group("/v1", s.guardOrigin, noStore, s.guardCookies, requireJSON)
	v1.Get("/config", s.getConfig)
	v1.Post("/signup/options", s.signUpOptions)
	v1.Post("/signup/verify", s.signUpVerify)
	v1.Post("/login/options", s.evenly(namesAccount, s.loginOptions))
	v1.Post("/login/verify", s.evenly(refused, s.loginVerify))

	v1.Get("/session", s.signedIn(s.getSession))
	v1.Delete("/session", s.deleteSession)
	v1.Post("/session/refresh", s.refreshSession)
	v1.Post("/session/token", s.signedIn(s.mintToken))
	v1.Post("/session/step-up/options", s.signedIn(s.stepUpOptions))
	v1.Post("/session/step-up/verify", s.signedIn(s.stepUpVerify))
	v1.Get("/csrf", s.signedIn(s.getCSRF))

	v1.Get("/me", s.signedIn(s.getAccount))
	v1.Patch("/me", s.signedIn(s.patchAccount))
	v1.Delete("/me", s.signedIn(s.deleteAccount))
	v1.Post("/me/email/code", s.signedIn(s.sendEmailCode))
	v1.Post("/me/email/confirm", s.signedIn(s.confirmEmail))
	v1.Get("/me/passkeys", s.signedIn(s.listPasskeys))
	v1.Post("/me/passkeys/options", s.signedIn(s.addPasskeyOptions))
	v1.Post("/me/passkeys/verify", s.signedIn(s.addPasskeyVerify))
	v1.Patch("/me/passkeys/:id", s.signedIn(s.renamePasskey))
	v1.Delete("/me/passkeys/:id", s.signedIn(s.deletePasskey))
	v1.Get("/me/sessions", s.signedIn(s.listSessions))
	v1.Delete("/me/sessions", s.signedIn(s.revokeOtherSessions))
	v1.Delete("/me/sessions/:id", s.signedIn(s.revokeSession))
	v1.Get("/me/events", s.signedIn(s.listEvents))
	v1.Get("/me/recovery", s.signedIn(s.getRecovery))
	v1.Post("/me/recovery/totp", s.signedIn(s.setUpTOTP))
	v1.Post("/me/recovery/totp/confirm", s.signedIn(s.confirmTOTP))
	v1.Delete("/me/recovery/totp", s.signedIn(s.removeTOTP))
	v1.Post("/me/recovery/backup-codes", s.signedIn(s.makeBackupCodes))

	v1.Post("/recovery/redeem", s.evenly(refused, s.redeem))
	v1.Post("/recovery/options", s.recoveryOptions)
	v1.Post("/recovery/verify", s.recoveryVerify)
}

// noStore keeps answers about a person out of every cache.
func noStore(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Next()
}
