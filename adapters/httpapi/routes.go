package httpapi

import (
	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// route registers the routes. Rate limits apply to sign-up, sign-in, step-up, recovery, refresh and every change, except signing out
// and revoking sessions, which must always be possible.
func (s *server) route(app *fiber.App) {
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	s.routeWellKnown(app)
	app.Get("/.well-known/jwks.json", s.jwks)
	app.Get("/openapi.json", s.getOpenAPI)

	v1 := app.Group("/v1", s.checkOrigin, noStore, s.cookies.rejectDuplicates, requireJSON)
	v1.Get("/config", s.getConfig)
	v1.Post("/signup/options", s.signUpOptions)
	v1.Post("/signup/verify", s.limit(domain.RateSignUp), s.padResponseTime(revealsAccount), s.signUpVerify)
	v1.Post("/login/options", s.padResponseTime(revealsAccount), s.loginOptions)
	v1.Post("/login/plan", s.padResponseTime(revealsAccount), s.planLogin)
	v1.Post("/login/steps", s.limit(domain.RateRefresh), s.countLoginSteps)
	v1.Post("/login/verify", s.limit(domain.RateLogin), s.padResponseTime(onError), s.loginVerify)

	v1.Get("/forward-auth", s.forwardAuth)

	v1.Get("/session", s.requireSession(s.getSession))
	v1.Get("/session/state", s.getSessionState)
	v1.Delete("/session", s.deleteSession)
	v1.Post("/session/refresh", s.limit(domain.RateRefresh), s.refreshSession)
	v1.Post("/session/token", s.requireSessionLimited(domain.RateChange, s.issueAccessToken))
	v1.Post("/session/step-up/options", s.requireSessionLimited(domain.RateStepUp, s.stepUpOptions))
	v1.Post("/session/step-up/verify", s.requireSessionLimited(domain.RateStepUp, s.stepUpVerify))
	v1.Post("/session/code", s.requireSessionLimited(domain.RateChange, s.issueAuthorizationCode))
	v1.Post("/session/redeem", s.limit(domain.RateRefresh), s.redeemAuthorizationCode)
	v1.Get("/csrf", s.requireSession(s.getCSRF))

	v1.Get("/me", s.requireSession(s.getAccount))
	v1.Patch("/me", s.padResponseTime(revealsAccount), s.requireSessionLimited(domain.RateChange, s.patchAccount))
	v1.Delete("/me", s.requireSessionLimited(domain.RateChange, s.deleteAccount))
	v1.Post("/me/email/code", s.padResponseTime(revealsAccount), s.requireSessionLimited(domain.RateCode, s.sendEmailCode))
	v1.Post("/me/email/confirm", s.requireSessionLimited(domain.RateCode, s.confirmEmail))
	v1.Get("/me/passkeys", s.requireSession(s.listPasskeys))
	v1.Post("/me/passkeys/options", s.requireSessionLimited(domain.RateChange, s.addPasskeyOptions))
	v1.Post("/me/passkeys/verify", s.padResponseTime(onError), s.requireSessionLimited(domain.RateChange, s.addPasskeyVerify))
	v1.Patch("/me/passkeys/:id", s.requireSessionLimited(domain.RateChange, s.renamePasskey))
	v1.Delete("/me/passkeys/:id", s.requireSessionLimited(domain.RateChange, s.deletePasskey))
	v1.Get("/me/sessions", s.requireSession(s.listSessions))
	v1.Delete("/me/sessions", s.requireSession(s.revokeOtherSessions))
	v1.Delete("/me/sessions/:id", s.requireSession(s.revokeSession))
	v1.Get("/me/events", s.requireSession(s.listEvents))
	v1.Get("/me/recovery", s.requireSession(s.getRecovery))
	v1.Post("/me/recovery/totp", s.requireSessionLimited(domain.RateChange, s.setUpTOTP))
	v1.Post("/me/recovery/totp/confirm", s.requireSessionLimited(domain.RateCode, s.confirmTOTP))
	v1.Delete("/me/recovery/totp", s.requireSessionLimited(domain.RateChange, s.removeTOTP))
	v1.Post("/me/recovery/backup-codes", s.requireSessionLimited(domain.RateChange, s.generateBackupCodes))

	v1.Get("/admin/users", s.requireAPIKey(s.listUsers))
	v1.Post("/admin/users", s.requireAPIKey(s.createUser))
	v1.Get("/admin/users/:id", s.requireAPIKey(ofUser(s.showUser)))
	v1.Delete("/admin/users/:id", s.requireAPIKey(ofUser(s.deleteUser)))
	v1.Post("/admin/users/:id/disable", s.requireAPIKey(ofUser(s.disableUser)))
	v1.Post("/admin/users/:id/enable", s.requireAPIKey(ofUser(s.enableUser)))
	v1.Put("/admin/users/:id/groups/:group", s.requireAPIKey(ofUser(s.addUserToGroup)))
	v1.Delete("/admin/users/:id/groups/:group", s.requireAPIKey(ofUser(s.removeUserFromGroup)))
	v1.Post("/admin/users/:id/recovery-link", s.requireAPIKey(ofUser(s.issueRecoveryLink)))
	v1.Delete("/admin/users/:id/sessions", s.requireAPIKey(ofUser(s.revokeSessionsOfUser)))
	v1.Delete("/admin/sessions/:id", s.requireAPIKey(s.revokeAnySession))
	v1.Post("/admin/sessions/revoke", s.requireAPIKey(s.revokeSessionsByAddress))
	v1.Get("/admin/signing-keys", s.requireAPIKey(s.listSigningKeys))
	v1.Post("/admin/signing-keys/rotate", s.requireAPIKey(s.rotateSigningKeys))
	v1.Get("/admin/invites", s.requireAPIKey(s.listInvites))
	v1.Post("/admin/invites", s.requireAPIKey(s.createInvites))
	v1.Delete("/admin/invites/:id", s.requireAPIKey(s.revokeInvite))
	v1.Get("/admin/events", s.requireAPIKey(s.listAllEvents))

	v1.Post("/recovery/redeem", s.padResponseTime(onError), s.redeem)
	v1.Post("/recovery/options", s.limit(domain.RateRecovery), s.recoveryOptions)
	v1.Post("/recovery/verify", s.limit(domain.RateRecovery), s.padResponseTime(onError), s.recoveryVerify)
}

// noStore keeps responses out of every cache.
func noStore(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Next()
}
