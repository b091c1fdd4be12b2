package domain

import "net/netip"

// AddressRange is a range of IP addresses: one address, or a network in CIDR notation (RFC 4632, section 3.1).
type AddressRange struct{ prefix netip.Prefix }

// ParseAddressRange parses an address or a network. It returns an *InvalidInput for the given field.
func ParseAddressRange(field, s string) (AddressRange, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return AddressRange{netip.PrefixFrom(address, address.BitLen())}, nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil || prefix.Addr().Is4In6() {
		return AddressRange{}, Invalid(field, "invalid_addresses", "write an IP address, or a network such as 192.0.2.0/24 or 2001:db8::/32")
	}
	return AddressRange{prefix.Masked()}, nil
}

// Contains reports whether the range contains the address of a device. It contains no unknown address.
func (r AddressRange) Contains(ip string) bool {
	address, err := netip.ParseAddr(ip)
	return err == nil && r.prefix.Contains(address.Unmap().WithZone(""))
}

func (r AddressRange) String() string { return r.prefix.String() }
