package httpapi

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

// The fields of draft-ietf-httpapi-ratelimit-headers-11: what the limits are, and how much of them is left.
const (
	headerRateLimitPolicy = "RateLimit-Policy"
	headerRateLimit       = "RateLimit"
)

// limit counts a call against the address that it comes from, and against the account that its body names, before anything
// is looked up: whether there is such an account makes no difference.
func (s *server) limit(class domain.RateClass, nameIn func(*fiber.Ctx) string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := s.checkRateLimit(c, class, ratelimit.Caller{Network: domain.NetworkOf(s.clientIP(c)), AccountName: nameIn(c)}); err != nil {
			return err
		}
		return c.Next()
	}
}

// requireSessionLimited is signedIn for calls that are counted: against the address before anybody is looked up, and then against whoever
// they are.
func (s *server) requireSessionLimited(class domain.RateClass, handle func(c *fiber.Ctx, actor identity.Principal) error) []fiber.Handler {
	return []fiber.Handler{s.limit(class, noAccountName), s.requireSession(func(c *fiber.Ctx, actor identity.Principal) error {
		if err := s.checkRateLimit(c, class, ratelimit.Caller{User: actor.User.ID()}); err != nil {
			return err
		}
		return handle(c, actor)
	})}
}

func (s *server) checkRateLimit(c *fiber.Ctx, class domain.RateClass, caller ratelimit.Caller) error {
	standings, err := s.rateLimit.Execute(c.UserContext(), class, caller)
	for _, standing := range standings {
		setRateLimitHeaders(c, standing)
		if !standing.Allowed {
			s.meter.CountRateLimited(standing.Policy)
		}
	}
	return err
}

// setRateLimitHeaders adds to what was told already, since a call may be counted twice.
func setRateLimitHeaders(c *fiber.Ctx, s ratelimit.LimitStatus) {
	c.Append(headerRateLimitPolicy, fmt.Sprintf("%q;q=%d;w=%d", s.Policy, s.Limit.Quota, int(s.Limit.Window.Seconds())))
	c.Append(headerRateLimit, fmt.Sprintf("%q;r=%d;t=%d", s.Policy, s.Remaining, ceilSeconds(s.NextTokenIn)))
}

// ceilSeconds never says less than it is, but for what is lost on the way anyhow.
func ceilSeconds(d time.Duration) int {
	return int(math.Ceil((d - 10*time.Microsecond).Seconds()))
}

func noAccountName(*fiber.Ctx) string { return "" }

// emailInBody is the address in a body, in its one form. A body that cannot be read names nobody; its handler says why.
func emailInBody(c *fiber.Ctx) string {
	var body struct {
		Email string `json:"email"`
	}
	if decodeBody(c, &body) != nil {
		return ""
	}
	email, err := domain.ParseEmail(body.Email)
	if err != nil {
		return ""
	}
	return string(email)
}

// recoveryAccountName is the name of the account that a recovery is about: its address, or its id.
func recoveryAccountName(c *fiber.Ctx) string {
	var body struct {
		Email  string `json:"email"`
		UserID string `json:"user_id"`
	}
	if decodeBody(c, &body) != nil {
		return ""
	}
	if email, err := domain.ParseEmail(body.Email); err == nil && email != "" {
		return string(email)
	}
	return strings.ToLower(body.UserID)
}
