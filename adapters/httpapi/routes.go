package httpapi

import "github.com/gofiber/fiber/v2"

func (s *server) route(app *fiber.App) {
	app.Get(livezPath, s.livez)
	app.Get(readyzPath, s.readyz)
	app.Get("/.well-known/passkey-endpoints", s.passkeyEndpoints)

	v1 := app.Group("/v1", s.guardOrigin, noStore)
	v1.Get("/config", s.getConfig)
	v1.Post("/signup/options", s.signUpOptions)
	v1.Post("/signup/verify", s.signUpVerify)
	v1.Post("/login/options", s.loginOptions)
	v1.Post("/login/verify", s.loginVerify)
	v1.Get("/session", s.getSession)
	v1.Delete("/session", s.deleteSession)
}

// noStore keeps answers about a person out of every cache.
func noStore(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Next()
}
