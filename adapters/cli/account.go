package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/keylodge/keylodge/application/admin"
	"github.com/keylodge/keylodge/domain"
)

// printAccount prints an account as text.
func (p *Program) printAccount(a admin.AccountDetails) {
	u := a.User
	newTable(p.Stdout).write(
		[]string{"ID", u.ID().String()},
		[]string{"E-mail", string(u.Email())},
		[]string{"Verified", yesOrNo(u.EmailVerified())},
		[]string{"Pending e-mail", string(u.PendingEmail())},
		[]string{"Name", string(u.DisplayName())},
		[]string{"Language", string(u.Locale())},
		[]string{"Groups", strings.Join(u.Groups().Strings(), ", ")},
		[]string{"Created", formatTime(u.CreatedAt())},
		[]string{"Disabled", formatTime(u.DisabledAt())},
	)

	fmt.Fprintln(p.Stdout, "\nPasskeys")
	newTable(p.Stdout, "ID", "CREATED", "LAST USED", "STATUS", "SYNCED", "COUNTER", "CLONED?", "AUTHENTICATOR", "NAME").write(
		mapSlice(a.Passkeys, p.passkeyRow)...)

	fmt.Fprintln(p.Stdout, "\nSessions")
	newTable(p.Stdout, "ID", "CREATED", "LAST SEEN", "EXPIRES", "TRANSPORT", "IP", "DEVICE").write(mapSlice(a.Sessions, sessionRow)...)

	fmt.Fprintln(p.Stdout, "\nLatest events")
	newTable(p.Stdout, "AT", "EVENT", "ACTOR", "IP", "DETAILS").write(mapSlice(a.Events, eventRow)...)
}

func (p *Program) passkeyRow(c *domain.Credential) []string {
	state := c.State()
	return []string{
		state.ID.String(), formatTime(state.CreatedAt), formatTime(state.LastUsedAt), string(state.Status), yesOrNo(c.BackedUp()),
		strconv.FormatUint(uint64(state.SignCount), 10), yesOrNo(state.CloneWarning), p.AuthenticatorName(state.AAGUID), string(state.Name),
	}
}

func sessionRow(s *domain.Session) []string {
	state := s.State()
	return []string{
		state.ID.String(), formatTime(state.CreatedAt), formatTime(state.LastSeenAt), formatTime(state.ExpiresAt), string(state.Transport), state.Device.IP, state.Device.Name,
	}
}

func eventRow(e *domain.Event) []string {
	state := e.State()
	details := append([]string{state.Reason}, state.Changed...)
	details = append(details, state.DeviceName, string(state.PasskeyName))
	ip := state.IP
	if more := len(state.OtherIPs); more > 0 {
		ip += fmt.Sprintf(" +%d", more)
	}
	if e.Count() > 1 {
		details = append(details, fmt.Sprintf("%d times until %s", e.Count(), formatTime(e.LastAt())))
	}
	details = slices.DeleteFunc(details, func(detail string) bool { return detail == "" })
	return []string{formatTime(state.At), string(state.Kind), string(state.Actor), ip, strings.Join(details, ", ")}
}

func yesOrNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
