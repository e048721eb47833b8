package check

import "github.com/hardstand/hardstand/probe/internal/machine"

// policy says whether this binary may connect to other machines. The builder
// of an image finds the block by its tag and replaces the value behind it:
// 26 bytes of tag, then "local" or "remote", padded with NULs to 16 bytes. The
// bytes are written one by one because the compiler must lay them out as data,
// exactly once, instead of folding them into the code.
var policy = [26 + 16]byte{
	'h', 'a', 'r', 'd', 's', 't', 'a', 'n', 'd', ':',
	'p', 'r', 'o', 'b', 'e', '-', 'p', 'o', 'l', 'i', 'c', 'y', ':', 'v', '1', ':',
	'l', 'o', 'c', 'a', 'l',
}

// remoteAllowed reports whether the policy is exactly "remote"; anything else,
// a damaged value included, is local.
func remoteAllowed() bool {
	return string(policy[26:]) == "remote\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
}

// Policy names the policy of this binary.
func Policy() string {
	if remoteAllowed() {
		return "remote"
	}
	return "local"
}

// allowed reports whether the policy lets the probe connect to a: always to
// unix sockets, loopback and the machine's own addresses.
func (s *State) allowed(a *machine.Addr) bool {
	if loopback(a) || remoteAllowed() || s.IsOwn(a) {
		return true
	}
	return s.fail(NoConnect, "forbidden: the address is not this container's, and the image was not built with probe: {remote: true}")
}

// loopback reports whether a is reached without a network.
func loopback(a *machine.Addr) bool {
	switch a.Family {
	case machine.Unix:
		return true
	case machine.IPv4:
		return a.IP[0] == 127
	}
	return string(a.IP[:]) == "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
}
