package domain

import "slices"

// TokenKind is a kind of token that Keylodge issues to clients. The table below lists all uses and ends of each kind.
// docs/security/tokens.md is generated from it, and a test verifies every cell over HTTP.
type TokenKind string

const (
	TokenSessionCookie TokenKind = "session cookie"
	TokenAccess        TokenKind = "access token"   // of a bearer session, for Keylodge's API and other services
	TokenService       TokenKind = "service token"  // an access token for other services, requested in a session
	TokenRefresh       TokenKind = "refresh token"  // of a bearer session
	TokenRecoveryGrant TokenKind = "recovery grant" // of a recovery by codes or by the operator
	// TokenAuthorizationCode is redeemed by an application that users return to.
	TokenAuthorizationCode TokenKind = "authorization code"
	// TokenForwardAuth is presented to one application behind a reverse proxy that asks this server.
	TokenForwardAuth TokenKind = "forward-auth cookie" //nolint:gosec // G101: a name, no credential
)

// TokenUse is a use of a token.
type TokenUse string

const (
	UseAccount   TokenUse = "read and change the account"
	UseSensitive TokenUse = "change who can sign in" // together with a recent passkey assertion
	UseStepUp    TokenUse = "step up"
	UseIssue     TokenUse = "issue a service token"
	UseRefresh   TokenUse = "refresh"
	UseEnrol     TokenUse = "enrol one passkey"
	UseAuthorize TokenUse = "issue an authorization code"
	UseRedeem    TokenUse = "open a session of an application"
	UseServices  TokenUse = "call other services"
	UseForward   TokenUse = "open one application behind a proxy"
)

// TokenEnd is an event that ends a token. Every token also expires.
type TokenEnd string

const (
	EndUse            TokenEnd = "its use"
	EndSignOut        TokenEnd = "sign-out"
	EndRevocation     TokenEnd = "revocation of the session"
	EndStepUp         TokenEnd = "step-up"
	EndRecovery       TokenEnd = "recovery of the account"
	EndPasskeyRemoved TokenEnd = "removal of the passkey that signed in"
	EndFactorReplaced TokenEnd = "replacement of the recovery codes or the app"
	EndDisabled       TokenEnd = "disabled account"
	EndDeleted        TokenEnd = "deleted account"
)

// TokenKinds, TokenUses and TokenEnds list the rows and columns of the table, in the order of the documentation.
var (
	TokenKinds = []TokenKind{TokenSessionCookie, TokenAccess, TokenService, TokenRefresh, TokenRecoveryGrant, TokenAuthorizationCode, TokenForwardAuth}
	TokenUses  = []TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue, UseRefresh, UseEnrol, UseAuthorize, UseRedeem, UseServices, UseForward}
	TokenEnds  = []TokenEnd{EndUse, EndSignOut, EndRevocation, EndStepUp, EndRecovery, EndPasskeyRemoved, EndFactorReplaced, EndDisabled, EndDeleted}
)

// sessionEnds are the ends of a session, and of every token that belongs to one.
var sessionEnds = []TokenEnd{EndSignOut, EndRevocation, EndRecovery, EndPasskeyRemoved, EndDisabled, EndDeleted}

var tokenTable = map[TokenKind]struct {
	uses []TokenUse
	ends []TokenEnd
}{
	TokenSessionCookie: {[]TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue, UseAuthorize}, append([]TokenEnd{EndStepUp}, sessionEnds...)},
	TokenAccess:        {[]TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue, UseServices}, sessionEnds},
	// Other services verify it with the published keys, without a request to Keylodge, so that nothing ends it early.
	TokenService:       {[]TokenUse{UseServices}, nil},
	TokenRefresh:       {[]TokenUse{UseRefresh}, append([]TokenEnd{EndUse, EndStepUp}, sessionEnds...)},
	TokenRecoveryGrant: {[]TokenUse{UseEnrol}, []TokenEnd{EndUse, EndRecovery, EndFactorReplaced, EndDisabled, EndDeleted}},
	// Its redemption requires the session that issued it, as it was then.
	TokenAuthorizationCode: {[]TokenUse{UseRedeem}, append([]TokenEnd{EndUse, EndStepUp}, sessionEnds...)},
	TokenForwardAuth:       {[]TokenUse{UseForward}, sessionEnds},
}

// Permits reports whether a token of this kind has the use. A kind that is not in the table has none.
func (k TokenKind) Permits(use TokenUse) bool { return slices.Contains(tokenTable[k].uses, use) }

// EndedBy reports whether the event ends a token of this kind before it expires.
func (k TokenKind) EndedBy(end TokenEnd) bool { return slices.Contains(tokenTable[k].ends, end) }
