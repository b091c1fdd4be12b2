package httpapi

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// clientIP returns the address of the client: the peer's own, unless the peer is a trusted proxy; then the rightmost
// address in X-Forwarded-For that is not one. Everything left of it is chosen by the client.
func (s *server) clientIP(c *fiber.Ctx) string {
	peer := peerAddress(c)
	if !s.isTrustedProxy(peer) {
		return addrString(peer)
	}
	var hops []string
	for _, header := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(header), ",")...)
	}
	client := peer
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			break // beyond a hop that cannot be read nothing can be believed
		}
		client = hop.Unmap().WithZone("")
		if !s.isTrustedProxy(client) {
			break
		}
	}
	return addrString(client)
}

// parseHop reads an address; some proxies write its port beside it, or brackets around it.
func parseHop(s string) (netip.Addr, error) {
	if with, err := netip.ParseAddrPort(s); err == nil {
		return with.Addr(), nil
	}
	if bare, bracketed := strings.CutPrefix(s, "["); bracketed {
		s = strings.TrimSuffix(bare, "]")
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
