package moving

import "github.com/keylodge/keylodge/domain"

// session is a sign-in that lasts; nobody is signed out by a move.
type session struct {
	ID           sessionID `json:"id"`
	CredentialID binary    `json:"passkey"`
	Transport    string    `json:"transport"`
	Token        digest    `json:"token"`
	Previous     digest    `json:"previous_token,omitzero"`
	RotatedAt    moment    `json:"rotated_at,omitzero"`
	Assurance    string    `json:"assurance"`
	AMR          []string  `json:"amr,omitempty"`
	Device       device    `json:"device"`
	CreatedAt    moment    `json:"created_at"`
	AuthTime     moment    `json:"auth_time"`
	LastSeenAt   moment    `json:"last_seen_at"`
	IdleEndsAt   moment    `json:"idle_ends_at"`
	ExpiresAt    moment    `json:"expires_at"`
}

type device struct {
	Name      string `json:"name,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	IP        string `json:"ip,omitempty"`
}

func sessionOf(s domain.SessionSnapshot) session {
	return session{
		ID: sessionID{s.ID}, CredentialID: binaryOf(s.CredentialID.Bytes()), Transport: string(s.Transport), Token: digest(s.Token),
		Previous: digest(s.Previous), RotatedAt: momentOf(s.RotatedAt), Assurance: string(s.Assurance), AMR: listOf(s.AMR),
		Device: device(s.Device), CreatedAt: momentOf(s.CreatedAt), AuthTime: momentOf(s.AuthTime), LastSeenAt: momentOf(s.LastSeenAt),
		IdleEndsAt: momentOf(s.IdleEndsAt), ExpiresAt: momentOf(s.ExpiresAt),
	}
}

func (r session) snapshot(owner domain.UserID) domain.SessionSnapshot {
	return domain.SessionSnapshot{
		ID: r.ID.SessionID, UserID: owner, CredentialID: domain.CredentialID(r.CredentialID), Transport: domain.Transport(r.Transport),
		Token: domain.TokenDigest(r.Token), Previous: domain.TokenDigest(r.Previous), RotatedAt: r.RotatedAt.Time,
		Assurance: domain.Assurance(r.Assurance), AMR: r.AMR, Device: domain.Device(r.Device), CreatedAt: r.CreatedAt.Time,
		AuthTime: r.AuthTime.Time, LastSeenAt: r.LastSeenAt.Time, IdleEndsAt: r.IdleEndsAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}
