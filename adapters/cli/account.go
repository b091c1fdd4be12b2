package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

// printAccount shows an account to people.
func (p *Program) printAccount(a admin.AccountDetails) {
	u := a.User
	newTable(p.Stdout).write(
		[]string{"ID", u.ID().String()},
		[]string{"E-mail", string(u.Email())},
		[]string{"Verified", yesOrNo(u.EmailVerified())},
		[]string{"Claimed", string(u.PendingEmail())},
		[]string{"Name", string(u.DisplayName())},
		[]string{"Created", formatTime(u.CreatedAt())},
		[]string{"Disabled", formatTime(u.DisabledAt())},
	)

	fmt.Fprintln(p.Stdout, "\nPasskeys")
	newTable(p.Stdout, "ID", "CREATED", "LAST USED", "STATUS", "SYNCED", "COUNTER", "CLONED?", "AUTHENTICATOR", "NAME").write(
		mapSlice(a.Passkeys, p.passkeyRow)...)

	fmt.Fprintln(p.Stdout, "\nSessions")
	newTable(p.Stdout, "ID", "CREATED", "LAST SEEN", "EXPIRES", "TRANSPORT", "IP", "DEVICE").write(mapSlice(a.Sessions, sessionRow)...)

	fmt.Fprintln(p.Stdout, "\nLatest events")
	newTable(p.Stdout, "AT", "EVENT", "BY", "IP", "DETAILS").write(mapSlice(a.Events, eventRow)...)
}

func (p *Program) passkeyRow(c *domain.Credential) []string {
	is := c.State()
	return []string{
		is.ID.String(), formatTime(is.CreatedAt), formatTime(is.LastUsedAt), string(is.Status), yesOrNo(c.BackedUp()),
		strconv.FormatUint(uint64(is.SignCount), 10), yesOrNo(is.CloneWarning), p.AuthenticatorName(is.AAGUID), string(is.Name),
	}
}

func sessionRow(s *domain.Session) []string {
	is := s.State()
	return []string{
		is.ID.String(), formatTime(is.CreatedAt), formatTime(is.LastSeenAt), formatTime(is.ExpiresAt), string(is.Transport), is.Device.IP, is.Device.Name,
	}
}

func eventRow(e *domain.Event) []string {
	is := e.State()
	details := append([]string{is.Reason}, is.Changed...)
	details = append(details, is.DeviceName, string(is.PasskeyName))
	ip := is.IP
	if more := len(is.OtherIPs); more > 0 {
		ip += fmt.Sprintf(" +%d", more)
	}
	if e.Count() > 1 {
		details = append(details, fmt.Sprintf("%d times until %s", e.Count(), formatTime(e.LastAt())))
	}
	details = slices.DeleteFunc(details, func(detail string) bool { return detail == "" })
	return []string{formatTime(is.At), string(is.Kind), string(is.Actor), ip, strings.Join(details, ", ")}
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
