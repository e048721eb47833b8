package check

import (
	"github.com/hardstand/hardstand/probe/internal/machine"
)

// connect opens the connection to the target, encrypted if the check says so.
func (s *State) connect() bool {
	c := s.check
	s.enter(PhaseConnect, "connecting")
	s.Chatty = c.TLS || c.NServices > 1
	total := s.deadline
	if c.ConnectTimeout > 0 {
		s.deadline = s.Now() + c.ConnectTimeout
	}
	if !s.dial() || c.TLS && !s.encrypt() {
		return false
	}
	if c.ConnectTimeout > 0 {
		total = s.Now() + s.timeout
	}
	s.deadline = total
	return true
}

func (s *State) encrypt() bool {
	s.enter(PhaseTLS, "in the TLS handshake")
	if startTLS == nil {
		return s.fail(NoConnect, "this probe was built without TLS")
	}
	secure, why := startTLS(s)
	if why == timeoutText {
		return s.timedOut()
	}
	if why != "" {
		return s.fail(NoConnect, why)
	}
	s.secure = secure
	return true
}

// dial connects to the first address of the target that answers. Every address
// but the last gets its share of the time that is left.
func (s *State) dial() bool {
	list, ok := s.resolve()
	if !ok {
		return false
	}
	for i := range list {
		a := &list[i]
		if !s.allowed(a) {
			return false
		}
		deadline := s.deadline
		if rest := len(list) - i; rest > 1 && !loopback(a) {
			now := s.Now()
			deadline = now + (s.deadline-now)/int64(rest)
		}
		cause := s.Socket.Connect(a, deadline)
		if cause == 0 {
			return true
		}
		if i == len(list)-1 {
			return s.notConnected(list, cause)
		}
	}
	return false
}

func (s *State) notConnected(list []machine.Addr, cause machine.Cause) bool {
	if cause == machine.TimedOut && s.Now() >= s.deadline {
		return s.timedOut()
	}
	if len(list) == 1 {
		return s.failCause(NoConnect, "", cause)
	}
	if !s.check.localhost() {
		s.failCause(NoConnect, "", cause)
		s.message.Str(" at the last of ")
		s.message.Int(int64(len(list)))
		s.message.Str(" addresses")
		return false
	}
	// A machine without IPv6 says that it has no ::1; what happened at
	// 127.0.0.1 is what the user wants to know.
	if cause == machine.NotLocal || cause == machine.NoFamily {
		cause = machine.Refused
	}
	s.failCause(NoConnect, "", cause)
	s.message.Str(" at 127.0.0.1 and ::1")
	return false
}
