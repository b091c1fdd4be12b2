package httpapi

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// clientIP returns the address of the client. It is the peer's own, or, if the peer is a trusted proxy, the rightmost address of
// X-Forwarded-For that is not a trusted proxy: the client can choose everything to the left of it.
//
// It is computed once for a request: limits, sessions, events and the log need it.
func (s *server) clientIP(c *fiber.Ctx) string {
	state := stateOf(c)
	if state.ip == "" {
		state.ip = addrString(s.clientAddress(c))
	}
	return state.ip
}

func (s *server) clientAddress(c *fiber.Ctx) netip.Addr {
	peer := peerAddress(c)
	if !s.isTrustedProxy(peer) {
		return peer
	}
	var hops []string
	for _, header := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(header), ",")...)
	}
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // nothing to the left of an invalid hop can be trusted
		}
		client = hop.Unmap().WithZone("")
		if !s.isTrustedProxy(client) {
			break
		}
	}
	return client
}

// parseHop parses an address. Some proxies add a port or brackets.
func parseHop(s string) (netip.Addr, error) {
	if addrPort, err := netip.ParseAddrPort(s); err == nil {
		return addrPort.Addr(), nil
	}
	if rest, bracketed := strings.CutPrefix(s, "["); bracketed {
		s = strings.TrimSuffix(rest, "]")
	}
	return netip.ParseAddr(s)
}

func peerAddress(c *fiber.Ctx) netip.Addr {
	tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

func (s *server) isTrustedProxy(ip netip.Addr) bool {
	for _, proxies := range s.config.TrustedProxies {
		if proxies.Contains(ip) {
			return true
		}
	}
	return false
}

func addrString(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}
