package sink

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// guard refuses connections to addresses inside our own networks, unless they
// are listed: who may edit a sink's address is not thereby allowed to talk to
// metadata services and neighbours. It looks at the address that is dialled,
// after names are resolved.
type guard struct{ allowed []netip.Prefix }

// special are networks that netip has no word for: RFC 6890 and its registry.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // carries an IPv4 address
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), // carries an IPv4 address
}

func (g guard) check(address string) error {
	endpoint, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: not an address", address)
	}
	ip := endpoint.Addr().Unmap().WithZone("")
	for _, p := range g.allowed {
		if p.Contains(ip) {
			return nil
		}
	}
	inside := !ip.IsGlobalUnicast() || ip.IsPrivate()
	for _, p := range special {
		inside = inside || p.Contains(ip)
	}
	if inside {
		return fmt.Errorf("connect to %s: it is not a public address; list its network in allow-networks if that is meant", ip)
	}
	return nil
}

func (g guard) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 10 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			if err := g.check(address); err != nil {
				return &Error{Final: true, Err: err}
			}
			return nil
		},
	}
}
