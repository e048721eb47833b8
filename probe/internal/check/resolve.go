package check

import (
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

const (
	hostsFile  = "/etc/hosts"
	resolvFile = "/etc/resolv.conf"
	// maxConfig bounds what is read of either file.
	maxConfig = 64 << 10
	// MaxAddrs bounds the addresses tried for one name.
	MaxAddrs = 8
)

// addresses are those of a target.
type addresses struct {
	n    int
	list [MaxAddrs]machine.Addr
}

// resolver is what looking up a name takes. Its file buffer is shared by the two
// configuration files.
type resolver struct {
	machine.Socket
	server machine.Addr
	query  [wire.MaxQuestion]byte
	answer [wire.MaxDatagram]byte
	file   [maxConfig]byte
}

// localhost reports whether the target is this host by name.
func (c *Check) localhost() bool { return c.Host == "" || c.Host == "localhost" }

// resolve lists the addresses of the target in the order to try them.
func (s *State) resolve() ([]machine.Addr, bool) {
	c, r := s.check, &s.addresses
	r.n = 1
	a := &r.list[0]
	*a = machine.Addr{Port: c.Port}
	switch {
	case c.Socket != "":
		a.Family, a.Path = machine.Unix, c.Socket
	case c.localhost():
		a.Family = machine.IPv4
		copy(a.IP[:], "\x7f\x00\x00\x01")
		r.list[1] = machine.Addr{Family: machine.IPv6, Port: c.Port}
		r.list[1].IP[15] = 1
		r.n = 2
	default:
		var ok bool
		a.IP, a.Zone, ok = literal(c.Host, &a.Family)
		if !ok {
			return s.resolveName()
		}
	}
	return r.list[:r.n], true
}

// literal parses an IP address, an IPv4-mapped one as IPv4.
func literal(host string, family *machine.Family) (ip [16]byte, zone uint32, ok bool) {
	ip, size, zone, ok := wire.ParseIP(host)
	*family = machine.IPv4
	if size == 16 {
		*family = machine.IPv6
	}
	return ip, zone, ok
}

// resolveName looks the name up in the hosts file, and, where the policy
// allows other machines, in DNS.
func (s *State) resolveName() ([]machine.Addr, bool) {
	r, list := &s.resolver, &s.addresses
	list.n = 0
	r.Like(&s.Socket)
	f, cause := r.ReadFile(hostsFile, r.file[:])
	if cause == 0 {
		wire.Hosts(r.file[:f.N], s.check.Host, list.add)
	}
	if list.n == 0 && remoteAllowed() && !s.askDNS() {
		return nil, false
	}
	if list.n == 0 {
		why := "no such host in /etc/hosts, and this image's policy does not ask DNS"
		if remoteAllowed() {
			why = "no such host"
		}
		return nil, s.fail(NoConnect, why)
	}
	for i := range list.n {
		list.list[i].Port = s.check.Port
	}
	return list.list[:list.n], true
}

// add takes one address of a name.
func (r *addresses) add(ip [16]byte, size int) {
	if r.n == len(r.list) {
		return
	}
	family := machine.IPv4
	if size == 16 {
		family = machine.IPv6
	}
	r.list[r.n] = machine.Addr{Family: family, IP: ip}
	r.n++
}

// askDNS asks the first name server for IPv4 and then, if there is none, IPv6
// addresses.
func (s *State) askDNS() bool {
	r := &s.resolver
	s.doing = "asking DNS"
	f, cause := r.ReadFile(resolvFile, r.file[:])
	if cause != 0 {
		return s.failCause(NoConnect, "reading /etc/resolv.conf", cause)
	}
	ip, size, ok := wire.NameServer(r.file[:f.N])
	if !ok {
		return s.fail(NoConnect, "/etc/resolv.conf names no server")
	}
	r.server = machine.Addr{Family: machine.IPv4, IP: ip, Port: 53}
	if size == 16 {
		r.server.Family = machine.IPv6
	}
	for _, kind := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
		if s.addresses.n == 0 && !s.ask(kind) {
			return false
		}
	}
	return true
}

// ask sends one question, again each second until the time is over.
func (s *State) ask(kind uint16) bool {
	r := &s.resolver
	if !s.Random(r.query[:2]) {
		return s.fail(NoConnect, "no random number for a DNS question")
	}
	size := wire.Question(r.query[:], s.check.Host, kind)
	if size == 0 {
		return s.fail(NoConnect, "the host name is malformed")
	}
	if cause := r.Datagram(&r.server); cause != 0 {
		return s.failCause(NoConnect, "asking DNS", cause)
	}
	ok := s.exchange(size)
	r.Close()
	return ok
}

func (s *State) exchange(size int) bool {
	r := &s.resolver
	for {
		if cause := r.Write(r.query[:size], s.deadline); cause != 0 {
			return s.failCause(NoConnect, "asking DNS", cause)
		}
		again := min(s.Now()+1e9, s.deadline)
		for {
			n, cause := r.ReadDatagram(r.answer[:], again)
			if cause == machine.TimedOut {
				break
			}
			if cause != 0 {
				return s.failCause(NoConnect, "asking DNS", cause)
			}
			if wire.Answer(r.answer[:n], r.query[:size], s.addresses.add) {
				return true
			}
		}
		if s.Now() >= s.deadline {
			return s.timedOut()
		}
	}
}
