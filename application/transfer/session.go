package transfer

import "github.com/keylodge/keylodge/domain"

// session is a sign-in that lasts; nobody is signed out by a move.
type session struct {
	ID            sessionID `json:"id"`
	CredentialID  binary    `json:"passkey"`
	Transport     string    `json:"transport"`
	Token         digest    `json:"token"`
	PreviousToken digest    `json:"previous_token,omitzero"`
	RotatedAt     jsonTime  `json:"rotated_at,omitzero"`
	Assurance     string    `json:"assurance"`
	AMR           []string  `json:"amr,omitempty"`
	Device        device    `json:"device"`
	CreatedAt     jsonTime  `json:"created_at"`
	AuthTime      jsonTime  `json:"auth_time"`
	LastSeenAt    jsonTime  `json:"last_seen_at"`
	IdleEndsAt    jsonTime  `json:"idle_ends_at"`
	ExpiresAt     jsonTime  `json:"expires_at"`
}

type device struct {
	Name      string `json:"name,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	IP        string `json:"ip,omitempty"`
}

func sessionOf(s domain.SessionState) session {
	return session{
		ID: sessionID{s.ID}, CredentialID: binaryOf(s.CredentialID.Bytes()), Transport: string(s.Transport), Token: digest(s.Token),
		PreviousToken: digest(s.PreviousToken), RotatedAt: jsonTimeOf(s.RotatedAt), Assurance: string(s.Assurance), AMR: nilIfEmpty(s.AMR),
		Device: device(s.Device), CreatedAt: jsonTimeOf(s.CreatedAt), AuthTime: jsonTimeOf(s.AuthTime), LastSeenAt: jsonTimeOf(s.LastSeenAt),
		IdleEndsAt: jsonTimeOf(s.IdleEndsAt), ExpiresAt: jsonTimeOf(s.ExpiresAt),
	}
}

func (r session) state(owner domain.UserID) domain.SessionState {
	return domain.SessionState{
		ID: r.ID.SessionID, UserID: owner, CredentialID: domain.CredentialID(r.CredentialID), Transport: domain.Transport(r.Transport),
		Token: domain.TokenDigest(r.Token), PreviousToken: domain.TokenDigest(r.PreviousToken), RotatedAt: r.RotatedAt.Time,
		Assurance: domain.Assurance(r.Assurance), AMR: r.AMR, Device: domain.Device(r.Device), CreatedAt: r.CreatedAt.Time,
		AuthTime: r.AuthTime.Time, LastSeenAt: r.LastSeenAt.Time, IdleEndsAt: r.IdleEndsAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}
