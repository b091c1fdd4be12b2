package client

import (
	"net/http"
	"net/url"
)

// Config returns the public settings.
func (c *Client) Config() (config Config, err error) {
	err = c.Call(http.MethodGet, "/v1/config", nil, &config)
	return config, err
}

// BeginSignUp begins a sign-up.
func (c *Client) BeginSignUp(request SignUpOptionsRequest) (Ceremony, error) {
	return c.begin("/v1/signup/options", request)
}

// FinishSignUp creates an account and opens its first session.
func (c *Client) FinishSignUp(request SignUpVerifyRequest) (SessionResponse, error) {
	return c.openSession("/v1/signup/verify", request)
}

// BeginSignIn begins a sign-in.
func (c *Client) BeginSignIn(request SignInOptionsRequest) (Ceremony, error) {
	return c.begin("/v1/login/options", request)
}

// PlanSignIn begins a sign-in and returns the ways to try.
func (c *Client) PlanSignIn(request SignInPlanRequest) (plan SignInPlan, err error) {
	err = c.Call(http.MethodPost, "/v1/login/plan", request, &plan)
	return plan, err
}

// ReportSignInSteps reports what became of the ways of a plan.
func (c *Client) ReportSignInSteps(request SignInStepsRequest) error {
	return c.Call(http.MethodPost, "/v1/login/steps", request, nil)
}

// FinishSignIn opens a session.
func (c *Client) FinishSignIn(request SignInVerifyRequest) (SessionResponse, error) {
	return c.openSession("/v1/login/verify", request)
}

// Redeem exchanges recovery factors for the token of a recovery grant.
func (c *Client) Redeem(request RedeemRequest) (grantToken string, err error) {
	var result GrantRequest
	err = c.Call(http.MethodPost, "/v1/recovery/redeem", request, &result)
	return result.GrantToken, err
}

// BeginRecovery begins the registration of a passkey with a recovery grant.
func (c *Client) BeginRecovery(grantToken string) (Ceremony, error) {
	return c.begin("/v1/recovery/options", GrantRequest{grantToken})
}

// FinishRecovery registers a passkey and opens a session.
func (c *Client) FinishRecovery(request RecoveryVerifyRequest) (SessionResponse, error) {
	return c.openSession("/v1/recovery/verify", request)
}

// Session returns the user and the session of the client.
func (c *Client) Session() (user User, session Session, err error) {
	var result struct {
		User    User
		Session Session
	}
	err = c.Call(http.MethodGet, "/v1/session", nil, &result)
	return result.User, result.Session, err
}

// SignOut ends the session.
func (c *Client) SignOut() error { return c.Call(http.MethodDelete, "/v1/session", nil, nil) }

// fetchCSRFToken requests a CSRF token, as a reloaded page does, and keeps it.
func (c *Client) fetchCSRFToken() (string, error) {
	var result struct {
		CSRFToken string `json:"csrf_token"`
	}
	if err := c.Call(http.MethodGet, "/v1/csrf", nil, &result); err != nil {
		return "", err
	}
	c.SetCSRFToken(result.CSRFToken)
	return result.CSRFToken, nil
}

// Refresh exchanges a refresh token. It does not send the access token, which may have expired, and does not change the tokens
// of the client.
func (c *Client) Refresh(refreshToken string) (Tokens, error) {
	var result struct{ Tokens Tokens }
	response, err := c.Do(http.MethodPost, "/v1/session/refresh", RefreshRequest{refreshToken}, nil)
	if err == nil {
		err = response.Decode(&result)
	}
	return result.Tokens, err
}

// IssueAuthorizationCode returns the address that returns to an application with an authorization code.
func (c *Client) IssueAuthorizationCode(request AuthorizationRequest) (location string, err error) {
	var result struct{ Location string }
	err = c.Call(http.MethodPost, "/v1/session/code", request, &result)
	return result.Location, err
}

// RedeemAuthorizationCode redeems an authorization code. It sends neither cookies nor tokens, and does not change those of the client.
func (c *Client) RedeemAuthorizationCode(request RedemptionRequest) (result SessionResponse, err error) {
	response, err := c.Do(http.MethodPost, "/v1/session/redeem", request, nil)
	if err == nil {
		err = response.Decode(&result)
	}
	return result, err
}

// IssueAccessToken returns an access token for another service.
func (c *Client) IssueAccessToken() (token AccessToken, err error) {
	err = c.Call(http.MethodPost, "/v1/session/token", nil, &token)
	return token, err
}

// BeginStepUp begins a step-up.
func (c *Client) BeginStepUp() (Ceremony, error) { return c.begin("/v1/session/step-up/options", nil) }

// FinishStepUp renews the session, and keeps its new tokens.
func (c *Client) FinishStepUp(request StepUpVerifyRequest) (result StepUpResponse, err error) {
	err = c.Call(http.MethodPost, "/v1/session/step-up/verify", request, &result)
	if err == nil && result.Tokens != (Tokens{}) {
		c.SetTokens(result.Tokens)
	}
	return result, err
}

// Account returns the account.
func (c *Client) Account() (User, error) {
	var result struct{ User User }
	err := c.Call(http.MethodGet, "/v1/me", nil, &result)
	return result.User, err
}

// ChangeAccount changes members of the account.
func (c *Client) ChangeAccount(request AccountRequest) (User, error) {
	var result struct{ User User }
	err := c.Call(http.MethodPatch, "/v1/me", request, &result)
	return result.User, err
}

// DeleteAccount deletes the account.
func (c *Client) DeleteAccount() error { return c.Call(http.MethodDelete, "/v1/me", nil, nil) }

// SendEmailCode sends a code to the pending e-mail address.
func (c *Client) SendEmailCode() error { return c.Call(http.MethodPost, "/v1/me/email/code", nil, nil) }

// ConfirmEmail verifies the pending e-mail address.
func (c *Client) ConfirmEmail(code string) error {
	return c.Call(http.MethodPost, "/v1/me/email/confirm", CodeRequest{code}, nil)
}

// Passkeys returns the passkeys of the account.
func (c *Client) Passkeys() ([]Passkey, error) {
	var result struct{ Items []Passkey }
	err := c.Call(http.MethodGet, "/v1/me/passkeys", nil, &result)
	return result.Items, err
}

// BeginAddPasskey begins the registration of a further passkey.
func (c *Client) BeginAddPasskey() (Ceremony, error) { return c.begin("/v1/me/passkeys/options", nil) }

// FinishAddPasskey registers a further passkey.
func (c *Client) FinishAddPasskey(request AddPasskeyVerifyRequest) (Passkey, error) {
	var result struct{ Passkey Passkey }
	err := c.Call(http.MethodPost, "/v1/me/passkeys/verify", request, &result)
	return result.Passkey, err
}

// RenamePasskey renames a passkey.
func (c *Client) RenamePasskey(id, name string) (Passkey, error) {
	var result struct{ Passkey Passkey }
	err := c.Call(http.MethodPatch, "/v1/me/passkeys/"+url.PathEscape(id), PasskeyRequest{name}, &result)
	return result.Passkey, err
}

// RemovePasskey removes a passkey.
func (c *Client) RemovePasskey(id string) error {
	return c.Call(http.MethodDelete, "/v1/me/passkeys/"+url.PathEscape(id), nil, nil)
}

// Sessions returns the sessions of the account, which it reads in pages of this size.
func (c *Client) Sessions(pageSize int) ([]Session, error) {
	return listAll[Session](c, "/v1/me/sessions", pageSize)
}

// EndSession ends a session of the account.
func (c *Client) EndSession(id string) error {
	return c.Call(http.MethodDelete, "/v1/me/sessions/"+url.PathEscape(id), nil, nil)
}

// EndOtherSessions ends all other sessions, and returns their number.
func (c *Client) EndOtherSessions() (int, error) {
	var result struct{ Revoked int }
	err := c.Call(http.MethodDelete, "/v1/me/sessions", nil, &result)
	return result.Revoked, err
}

// Events returns the audit log of the account, which it reads in pages of this size.
func (c *Client) Events(pageSize int) ([]Event, error) {
	return listAll[Event](c, "/v1/me/events", pageSize)
}

// Factors returns the recovery factors of the account.
func (c *Client) Factors() (factors Factors, err error) {
	err = c.Call(http.MethodGet, "/v1/me/recovery", nil, &factors)
	return factors, err
}

// SetUpTOTP returns the secret of a new authenticator app.
func (c *Client) SetUpTOTP() (secret string, err error) {
	var result struct{ Secret string }
	err = c.Call(http.MethodPost, "/v1/me/recovery/totp", nil, &result)
	return result.Secret, err
}

// ConfirmTOTP confirms the authenticator app.
func (c *Client) ConfirmTOTP(code string) error {
	return c.Call(http.MethodPost, "/v1/me/recovery/totp/confirm", CodeRequest{code}, nil)
}

// RemoveTOTP removes the authenticator app.
func (c *Client) RemoveTOTP() error {
	return c.Call(http.MethodDelete, "/v1/me/recovery/totp", nil, nil)
}

// MakeBackupCodes replaces the backup codes.
func (c *Client) MakeBackupCodes() ([]string, error) {
	var result struct{ Codes []string }
	err := c.Call(http.MethodPost, "/v1/me/recovery/backup-codes", nil, &result)
	return result.Codes, err
}

func (c *Client) begin(path string, request any) (ceremony Ceremony, err error) {
	err = c.Call(http.MethodPost, path, request, &ceremony)
	return ceremony, err
}
