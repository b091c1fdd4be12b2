package acceptance

import "net/http"

func (c *httpAPI) emailStatus() (shownEmail, rejection) {
	var body struct {
		User struct {
			Email    string
			Verified bool   `json:"email_verified"`
			Pending  string `json:"pending_email"`
		}
	}
	rejected := c.call(http.MethodGet, "/v1/me", nil, &body)
	return shownEmail{current: body.User.Email, pending: body.User.Pending, verified: body.User.Verified}, rejected
}

func (c *httpAPI) sendEmailCode() rejection {
	return c.call(http.MethodPost, "/v1/me/email/code", nil, nil)
}

func (c *httpAPI) confirmEmail(code string) rejection {
	return c.call(http.MethodPost, "/v1/me/email/confirm", map[string]string{"code": code}, nil)
}
