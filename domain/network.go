package domain

import "net/netip"

// Network is what counts as one address where callers are counted: a single IPv4 address, or the /64 that an IPv6 host
// chooses its own from (RFC 4291, section 2.5.4), of which it has more than anybody can count.
type Network string

// NetworkOf returns what an address belongs to. What is no address, such as "" for a caller of whom nothing is known, is a
// network of its own.
func NetworkOf(ip string) Network {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return Network(ip)
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return Network(address.String())
	}
	return Network(netip.PrefixFrom(address, 64).Masked().String())
}
