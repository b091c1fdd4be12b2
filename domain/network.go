package domain

import "net/netip"

// Network is the unit of rate limiting by address: an IPv4 address, or an IPv6 /64, since a host can use all addresses of its /64
// (RFC 4291, section 2.5.4).
type Network string

// NetworkOf returns the network of an IP address. Any other string, such as "" for an unknown address, is a network of its own.
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
