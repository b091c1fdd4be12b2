package client

import (
	"encoding/json"
	"fmt"
)

// The types of the OpenAPI document. TestTypes_MatchOpenAPI compares their members. A member that may be null is "" then, and a
// time is text as it was sent.
type (
	// Config is the public settings of the server.
	Config struct {
		RPID         string `json:"rp_id"`
		RPName       string `json:"rp_name"`
		Registration string `json:"registration"`
		Email        string `json:"email"`
		Recovery     struct {
			Policy string `json:"policy"`
		} `json:"recovery"`
		Mail string `json:"mail"`

		Language  string   `json:"language"`
		Languages []string `json:"languages"`
		Brand     struct {
			Logo       string `json:"logo"`
			LogoDark   string `json:"logo_dark"`
			Favicon    string `json:"favicon"`
			Background string `json:"background"`
			Stylesheet string `json:"stylesheet"`
			Links      struct {
				Terms   string `json:"terms"`
				Privacy string `json:"privacy"`
				Imprint string `json:"imprint"`
				Support string `json:"support"`
				Home    string `json:"home"`
			} `json:"links"`
			SecuredBy bool `json:"secured_by"`
		} `json:"brand"`
		Applications []Application `json:"applications"`
	}

	// Application is an application that users may return to.
	Application struct {
		Origin string `json:"origin"`
		Name   string `json:"name"`
	}

	// User is an account.
	User struct {
		ID            string   `json:"id"`
		Email         string   `json:"email"`
		EmailVerified bool     `json:"email_verified"`
		PendingEmail  string   `json:"pending_email"`
		DisplayName   string   `json:"display_name"`
		Locale        string   `json:"locale"`
		Groups        []string `json:"groups"`
		CreatedAt     string   `json:"created_at"`
	}

	// Session is a session of the account.
	Session struct {
		ID         string   `json:"id"`
		CreatedAt  string   `json:"created_at"`
		LastSeenAt string   `json:"last_seen_at"`
		ExpiresAt  string   `json:"expires_at"`
		AuthTime   string   `json:"auth_time"`
		AMR        []string `json:"amr"`
		Assurance  string   `json:"assurance"`
		Transport  string   `json:"transport"`
		PasskeyID  string   `json:"passkey_id"`
		Device     Device   `json:"device"`
		Current    bool     `json:"current"`
	}

	// Device is what a session knows of its client.
	Device struct {
		Name      string `json:"name"`
		UserAgent string `json:"user_agent"`
		IP        string `json:"ip"`
	}

	// Passkey is a passkey of the account.
	Passkey struct {
		ID            string `json:"id"`
		Name          string `json:"name"`
		Authenticator struct {
			AAGUID string `json:"aaguid"`
			Name   string `json:"name"`
		} `json:"authenticator"`
		Transports     []string `json:"transports"`
		BackupEligible bool     `json:"backup_eligible"`
		BackedUp       bool     `json:"backed_up"`
		SignCount      uint32   `json:"sign_count"`
		CreatedAt      string   `json:"created_at"`
		LastUsedAt     string   `json:"last_used_at"`
		Status         string   `json:"status"`
	}

	// Signals are the arguments of the signal methods of PublicKeyCredential.
	Signals struct {
		RPID                  string   `json:"rp_id"`
		UserID                string   `json:"user_id"`
		AcceptedCredentialIDs []string `json:"accepted_credential_ids"`
		Name                  string   `json:"name"`
		DisplayName           string   `json:"display_name"`
	}

	// Event is an entry of the audit log.
	Event struct {
		ID        string `json:"id"`
		Kind      string `json:"kind"`
		At        string `json:"at"`
		Count     int    `json:"count"`
		LastAt    string `json:"last_at"`
		Actor     string `json:"actor"`
		SessionID string `json:"session_id"`
		Passkey   *struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"passkey"`
		Device *struct {
			Name string `json:"name"`
			IP   string `json:"ip"`
		} `json:"device"`
		Addresses []string `json:"addresses"`
		Reason    string   `json:"reason"`
		Changed   []string `json:"changed"`
		RequestID string   `json:"request_id"`
	}

	// Ceremony is both RegistrationCeremony and AuthenticationCeremony.
	Ceremony struct {
		ChallengeID string          `json:"challenge_id"`
		Options     json.RawMessage `json:"options"`
		ExpiresAt   string          `json:"expires_at"`
	}

	// SessionResponse is both CookieSessionResponse and BearerSessionResponse.
	SessionResponse struct {
		User      User    `json:"user"`
		Session   Session `json:"session"`
		Passkey   Passkey `json:"passkey"`
		Signals   Signals `json:"signals"`
		CSRFToken string  `json:"csrf_token"`
		Tokens    Tokens  `json:"tokens"`
	}

	// StepUpResponse is both CookieStepUpResponse and BearerStepUpResponse.
	StepUpResponse struct {
		Session Session `json:"session"`
		Tokens  Tokens  `json:"tokens"`
	}

	// Tokens are the tokens of an app's session.
	Tokens struct {
		AccessToken      string `json:"access_token"`
		TokenType        string `json:"token_type"`
		ExpiresIn        int    `json:"expires_in"`
		RefreshToken     string `json:"refresh_token"`
		RefreshExpiresIn int    `json:"refresh_expires_in"`
	}

	// AccessToken is a token for another service.
	AccessToken struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}
)

// The bodies of requests. A nil member is not sent. A credential is the authenticator's response.
type (
	// SignUpOptionsRequest begins a sign-up.
	SignUpOptionsRequest struct {
		Email       *string `json:"email,omitempty"`
		DisplayName *string `json:"display_name,omitempty"`
		Locale      *string `json:"locale,omitempty"`
		Invite      string  `json:"invite,omitempty"`
	}

	// SignUpVerifyRequest finishes a sign-up. The transport is "cookie" or "bearer".
	SignUpVerifyRequest struct {
		ChallengeID string  `json:"challenge_id"`
		Credential  any     `json:"credential"`
		PasskeyName *string `json:"passkey_name,omitempty"`
		Transport   string  `json:"transport,omitempty"`
	}

	// SignInOptionsRequest begins a sign-in.
	SignInOptionsRequest struct {
		Email *string `json:"email,omitempty"`
	}

	// SignInPlanRequest plans a sign-in.
	SignInPlanRequest struct {
		Email        *string         `json:"email,omitempty"`
		Capabilities map[string]bool `json:"capabilities,omitempty"`
	}

	// SignInPlan is the ways of a sign-in, the best first, and the ceremony that they share.
	SignInPlan struct {
		Ways []SignInWay
		Ceremony
	}

	// SignInWay is a way to sign in, with arguments of navigator.credentials.get.
	SignInWay struct {
		Way       string   `json:"way"`
		Mediation *string  `json:"mediation"`
		UIMode    *string  `json:"uiMode"`
		Hints     []string `json:"hints"`
	}

	// SignInStepsRequest reports what became of the ways of a plan.
	SignInStepsRequest struct {
		Steps []SignInStep `json:"steps"`
	}

	// SignInStep is a way with its outcome: prompted, cancelled, no_passkey or done.
	SignInStep struct {
		Way     string `json:"way"`
		Outcome string `json:"outcome"`
	}

	// SignInVerifyRequest finishes a sign-in.
	SignInVerifyRequest struct {
		ChallengeID string `json:"challenge_id"`
		Credential  any    `json:"credential"`
		Transport   string `json:"transport,omitempty"`
	}

	// StepUpVerifyRequest finishes a step-up.
	StepUpVerifyRequest struct {
		ChallengeID string `json:"challenge_id"`
		Credential  any    `json:"credential"`
	}

	// AddPasskeyVerifyRequest finishes the registration of a further passkey.
	AddPasskeyVerifyRequest struct {
		ChallengeID string  `json:"challenge_id"`
		Credential  any     `json:"credential"`
		PasskeyName *string `json:"passkey_name,omitempty"`
	}

	// RefreshRequest exchanges a refresh token.
	RefreshRequest struct {
		RefreshToken string `json:"refresh_token"`
	}

	// AuthorizationRequest asks for the address that returns to an application with an authorization code.
	AuthorizationRequest struct {
		ReturnTo      string `json:"return_to"`
		CodeChallenge string `json:"code_challenge"`
		State         string `json:"state,omitempty"`
	}

	// RedemptionRequest redeems an authorization code.
	RedemptionRequest struct {
		Code         string `json:"code"`
		CodeVerifier string `json:"code_verifier"`
		ReturnTo     string `json:"return_to"`
	}

	// AccountRequest changes the account.
	AccountRequest struct {
		Locale      *string `json:"locale,omitempty"`
		DisplayName *string `json:"display_name,omitempty"`
		Email       *string `json:"email,omitempty"`
	}

	// PasskeyRequest renames a passkey.
	PasskeyRequest struct {
		Name string `json:"name"`
	}

	// RedeemRequest proves recovery factors of an account, which Email or UserID names.
	RedeemRequest struct {
		Email      string `json:"email,omitempty"`
		UserID     string `json:"user_id,omitempty"`
		TOTPCode   string `json:"totp_code,omitempty"`
		BackupCode string `json:"backup_code,omitempty"`
	}

	// GrantRequest begins the registration of a passkey with a recovery grant.
	GrantRequest struct {
		GrantToken string `json:"grant_token"`
	}

	// RecoveryVerifyRequest finishes a recovery.
	RecoveryVerifyRequest struct {
		SignUpVerifyRequest
		GrantRequest
	}

	// CodeRequest confirms an authenticator app or an e-mail address.
	CodeRequest struct {
		Code string `json:"code"`
	}
)

// Factors are the recovery factors of the account.
type Factors struct {
	TOTP struct {
		Enrolled    bool   `json:"enrolled"`
		ConfirmedAt string `json:"confirmed_at"`
	} `json:"totp"`
	BackupCodes struct {
		Remaining   int    `json:"remaining"`
		GeneratedAt string `json:"generated_at"`
	} `json:"backup_codes"`
}

// Problem is an error response (RFC 9457).
type Problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Code      string         `json:"code"`
	Detail    string         `json:"detail"`
	RequestID string         `json:"request_id"`
	Errors    []InvalidField `json:"errors"`
	Response  *Response      `json:"-"`
}

// InvalidField is a member of a request that is invalid.
type InvalidField struct {
	Field  string `json:"field"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s", p.Status, p.Code) }
