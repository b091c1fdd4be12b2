package httpapi

import (
	"math"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/application/identity"
	"github.com/keylodge/keylodge/application/ratelimit"
	"github.com/keylodge/keylodge/domain"
)

// Headers of draft-ietf-httpapi-ratelimit-headers-11: the limits, and the remaining requests.
const (
	headerRateLimitPolicy = "RateLimit-Policy"
	headerRateLimit       = "RateLimit"
)

// limit charges a request to the client's network, before any lookup.
func (s *server) limit(class domain.RateClass) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if err := s.admit(c, class, s.callerNetwork(c)); err != nil {
			return err
		}
		return c.Next()
	}
}

func (s *server) callerNetwork(c *fiber.Ctx) ratelimit.Caller {
	return ratelimit.Caller{Network: domain.NetworkOf(s.clientIP(c))}
}

// decodeLimited reads the body into body and charges the request to the client's network and to the account that a valid body
// names, before any lookup: whether the account exists makes no difference. An invalid body is charged to the network alone.
func (s *server) decodeLimited(c *fiber.Ctx, class domain.RateClass, body any, accountName func() string) error {
	caller := s.callerNetwork(c)
	badBody := decodeBody(c, body)
	if badBody == nil {
		caller.AccountName = accountName()
	}
	if err := s.admit(c, class, caller); err != nil {
		return err
	}
	return badBody
}

// requireSessionLimited is requireSession for rate-limited requests. They are charged to the client's network before the session is
// looked up, and then to its user.
func (s *server) requireSessionLimited(class domain.RateClass, handle sessionHandler) fiber.Handler {
	authenticated := s.requireSession(func(c *fiber.Ctx, principal identity.Principal) error {
		if err := s.admit(c, class, ratelimit.Caller{User: principal.User.ID()}); err != nil {
			return err
		}
		return handle(c, principal)
	})
	return func(c *fiber.Ctx) error {
		if err := s.admit(c, class, s.callerNetwork(c)); err != nil {
			return err
		}
		return authenticated(c)
	}
}

// admit charges a request to a caller and sets the RateLimit headers. It returns a *domain.RetryAfterError over the limit, and
// domain.ErrLimiterUnavailable.
func (s *server) admit(c *fiber.Ctx, class domain.RateClass, caller ratelimit.Caller) error {
	statuses, err := s.usecases.RateLimit.Allow(c.UserContext(), class, caller)
	for _, status := range statuses {
		setRateLimitHeaders(c, status)
		if !status.Allowed {
			s.meter.CountRateLimited(status.Policy)
		}
	}
	return err
}

// setRateLimitHeaders adds a limit to the headers, since a request may be charged twice.
func setRateLimitHeaders(c *fiber.Ctx, s ratelimit.LimitStatus) {
	limit := strconv.Quote(string(s.Policy))
	c.Append(headerRateLimitPolicy, limit+";q="+strconv.Itoa(s.Limit.Quota)+";w="+strconv.Itoa(int(s.Limit.Window.Seconds())))
	c.Append(headerRateLimit, limit+";r="+strconv.Itoa(s.Remaining)+";t="+strconv.Itoa(ceilSeconds(s.NextTokenIn)))
}

// ceilSeconds rounds up to seconds. It ignores 10 microseconds, which pass before the next request anyway.
func ceilSeconds(d time.Duration) int {
	return int(math.Ceil((d - 10*time.Microsecond).Seconds()))
}

// emailAccountName returns the account name of an e-mail address in its canonical form, or "" if the address is invalid.
func emailAccountName(s string) string {
	email, err := domain.ParseEmail("email", s)
	if err != nil {
		return ""
	}
	return string(email)
}
