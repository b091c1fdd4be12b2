package domain

import "slices"

// TokenKind is one of the secrets that Keylodge issues to clients. The table below is the whole of what each may do and of what
// ends it; docs/security/tokens.md is generated from it, and a test plays every cell over HTTP.
type TokenKind string

const (
	TokenSessionCookie TokenKind = "session cookie"
	TokenAccess        TokenKind = "access token"   // of a bearer session, for Keylodge's API and for other services
	TokenService       TokenKind = "service token"  // an access token that a session requested for other services
	TokenRefresh       TokenKind = "refresh token"  // of a bearer session
	TokenRecoveryGrant TokenKind = "recovery grant" // from a recovery code or the operator
)

// TokenUse is something that a token may be used for.
type TokenUse string

const (
	UseAccount   TokenUse = "read and change the account"
	UseSensitive TokenUse = "change who can sign in" // together with a recent passkey assertion
	UseStepUp    TokenUse = "step up"
	UseIssue     TokenUse = "issue a service token"
	UseRefresh   TokenUse = "refresh"
	UseEnrol     TokenUse = "enrol one passkey"
	UseServices  TokenUse = "call other services"
)

// TokenEnd is something that ends a token. Every token ends by its age as well.
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

// TokenKinds, TokenUses and TokenEnds list the table's rows and columns in the order of the documentation.
var (
	TokenKinds = []TokenKind{TokenSessionCookie, TokenAccess, TokenService, TokenRefresh, TokenRecoveryGrant}
	TokenUses  = []TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue, UseRefresh, UseEnrol, UseServices}
	TokenEnds  = []TokenEnd{EndUse, EndSignOut, EndRevocation, EndStepUp, EndRecovery, EndPasskeyRemoved, EndFactorReplaced, EndDisabled, EndDeleted}
)

// sessionEnds are the ends of a session, and so of every token that needs one.
var sessionEnds = []TokenEnd{EndSignOut, EndRevocation, EndRecovery, EndPasskeyRemoved, EndDisabled, EndDeleted}

var tokenTable = map[TokenKind]struct {
	uses []TokenUse
	ends []TokenEnd
}{
	TokenSessionCookie: {[]TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue}, append([]TokenEnd{EndStepUp}, sessionEnds...)},
	TokenAccess:        {[]TokenUse{UseAccount, UseSensitive, UseStepUp, UseIssue, UseServices}, sessionEnds},
	// Other services verify it by the published keys and do not ask Keylodge, so only its age ends it.
	TokenService:       {[]TokenUse{UseServices}, nil},
	TokenRefresh:       {[]TokenUse{UseRefresh}, append([]TokenEnd{EndUse, EndStepUp}, sessionEnds...)},
	TokenRecoveryGrant: {[]TokenUse{UseEnrol}, []TokenEnd{EndUse, EndRecovery, EndFactorReplaced, EndDisabled, EndDeleted}},
}

// Permits reports whether a token of this kind may be used so. A kind that is not in the table permits nothing.
func (k TokenKind) Permits(use TokenUse) bool { return slices.Contains(tokenTable[k].uses, use) }

// EndedBy reports whether the event ends a token of this kind before its time.
func (k TokenKind) EndedBy(end TokenEnd) bool { return slices.Contains(tokenTable[k].ends, end) }
