package httpapi

import (
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keylodge/keylodge/domain"
)

// signInWay is a way of a plan, with the arguments of navigator.credentials.get for it (WebAuthn Level 3, sections 5.1.4 and 5.5).
type signInWay struct {
	Way       domain.SignInWay `json:"way"`
	Mediation *string          `json:"mediation"`
	UIMode    *string          `json:"uiMode"`
	Hints     []string         `json:"hints"` // of the options
}

func signInWayOf(way domain.SignInWay) signInWay {
	w := signInWay{Way: way, Hints: []string{}}
	switch way {
	case domain.WayImmediate:
		w.UIMode = new("immediate")
	case domain.WayAutofill:
		w.Mediation = new("conditional")
	case domain.WayPhone:
		w.Hints = []string{"hybrid"}
	case domain.WaySecurityKey:
		w.Hints = []string{"security-key"}
	}
	return w
}

// planLogin answers like loginOptions, with the ways in which the browser should try.
func (s *server) planLogin(c *fiber.Ctx) error {
	var body struct {
		Email        string                    `json:"email"`
		Capabilities domain.ClientCapabilities `json:"capabilities"`
	}
	email, err := s.decodeLogin(c, &body, &body.Email)
	if err != nil {
		return err
	}
	browser := s.ceremonyBrowser(c)
	plan, err := s.usecases.Login.Plan(c.UserContext(), body.Capabilities, email, browser.binding)
	if err != nil {
		return err
	}
	s.countSignInStep(c, domain.SignInStep{Way: plan.Ways[0], Outcome: domain.OutcomeBegun})
	s.cookies.setBrowser(c, plan.Ceremony.ChallengeID, browser.newValue)
	return c.JSON(struct {
		Ways []signInWay `json:"ways"`
		optionsResponse
	}{mapSlice(plan.Ways, signInWayOf), optionsOf(plan.Ceremony)})
}

// maxReportedSteps is more than a sign-in has.
const maxReportedSteps = 20

// countLoginSteps counts what a browser reports about a sign-in. It needs no session and stores nothing: a client can distort the
// metrics, and nothing else.
func (s *server) countLoginSteps(c *fiber.Ctx) error {
	var body struct {
		Steps []struct {
			Way     string `json:"way"`
			Outcome string `json:"outcome"`
		} `json:"steps"`
	}
	if err := decodeBody(c, &body); err != nil {
		return err
	}
	if len(body.Steps) == 0 || len(body.Steps) > maxReportedSteps {
		return domain.Invalid("steps", "invalid_count", fmt.Sprintf("send 1 to %d steps", maxReportedSteps))
	}
	steps := make([]domain.SignInStep, len(body.Steps))
	for i, sent := range body.Steps {
		var err error
		if steps[i], err = domain.ParseSignInStep(fmt.Sprintf("steps[%d]", i), sent.Way, sent.Outcome); err != nil {
			return err
		}
	}
	for _, step := range steps {
		s.countSignInStep(c, step)
	}
	return c.SendStatus(http.StatusNoContent)
}

func (s *server) countSignInStep(c *fiber.Ctx, step domain.SignInStep) {
	s.meter.CountSignInStep(step, s.config.BrowserFamily(c.Get(fiber.HeaderUserAgent)))
}
