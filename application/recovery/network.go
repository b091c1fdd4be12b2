package recovery

import "net/netip"

// network is what counts as one address: a single IPv4 address, or the /64 that an IPv6 host chooses its own from.
func network(ip string) string {
	address, err := netip.ParseAddr(ip)
	if err != nil || !address.Is6() || address.Is4In6() {
		return ip
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.String()
}
