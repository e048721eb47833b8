package wire

// ParseIP parses an IPv4 or IPv6 address without brackets (RFC 4291 section
// 2.2). An IPv4-mapped IPv6 address is returned as IPv4. size is 4 or 16; zone
// is the number after '%', 0 if there is none.
func ParseIP(s string) (ip [16]byte, size int, zone uint32, ok bool) {
	for i := range len(s) {
		if s[i] == ':' {
			s, id, scoped := cut(s, '%')
			if scoped {
				if zone, ok = decimal(id, 1<<31-1); !ok {
					return ip, 0, 0, false
				}
			}
			ip, ok = parseIPv6(s)
			if ok && string(ip[:12]) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff" {
				copy(ip[:4], ip[12:])
				return ip, 4, 0, true
			}
			return ip, 16, zone, ok
		}
	}
	v4, ok := parseIPv4(s)
	copy(ip[:], v4[:])
	return ip, 4, 0, ok
}

func parseIPv4(s string) (ip [4]byte, ok bool) {
	for i := range 4 {
		part, rest, more := cut(s, '.')
		v, good := decimal(part, 255)
		if !good || len(part) > 1 && part[0] == '0' || more != (i < 3) {
			return ip, false
		}
		ip[i] = byte(v)
		s = rest
	}
	return ip, true
}

func parseIPv6(s string) (ip [16]byte, ok bool) {
	at, gap := 0, -1
	if len(s) >= 2 && s[0] == ':' && s[1] == ':' {
		gap = 0
		s = s[2:]
	}
	for s != "" {
		if at >= 16 {
			return ip, false
		}
		part, rest, more := cut(s, ':')
		if !more && at <= 12 {
			if v4, good := parseIPv4(part); good {
				copy(ip[at:], v4[:])
				at += 4
				break
			}
		}
		v, good := hexGroup(part)
		if !good {
			return ip, false
		}
		ip[at], ip[at+1] = byte(v>>8), byte(v)
		at += 2
		if more && rest == "" {
			return ip, false
		}
		if rest != "" && rest[0] == ':' {
			if gap >= 0 {
				return ip, false
			}
			gap = at
			rest = rest[1:]
		}
		s = rest
	}
	if gap < 0 {
		return ip, at == 16
	}
	if at == 16 {
		return ip, false
	}
	tail := at - gap
	copy(ip[16-tail:], ip[gap:at])
	for i := gap; i < 16-tail; i++ {
		ip[i] = 0
	}
	return ip, true
}

func hexGroup(s string) (v int, ok bool) {
	if len(s) == 0 || len(s) > 4 {
		return 0, false
	}
	for i := range len(s) {
		d := hexDigit(s[i])
		if d < 0 {
			return 0, false
		}
		v = v<<4 | d
	}
	return v, true
}

// decimal parses a number from 0 to limit.
func decimal(s string, limit uint32) (uint32, bool) {
	v := uint64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + uint64(s[i]-'0')
		if v > uint64(limit) {
			return 0, false
		}
	}
	return uint32(v), s != ""
}
