package check

import "github.com/hardstand/hardstand/probe/internal/wire"

// A server sends its settings at once, acknowledges the probe's, and then
// answers. Being woken for each is most of what waiting costs, so the probe first
// waits for as much as the shortest answer of a healthy server takes: settings of
// 9 bytes, headers of 24, data of 16, trailers of 21. A server that sends less is
// read a moment later.
const (
	minAnswer  = 64
	gatherTime = 2e6 // nanoseconds
)

// checkGRPC asks the health service for every service of the check, one call
// after another on one connection.
func (s *State) checkGRPC() {
	c := s.check
	if !s.connect() {
		return
	}
	s.enter(PhaseAnswer, "waiting for the health service")
	s.call.Reset(&s.pieces)
	s.nReplies = 0
	n := max(c.NServices, 1)
	for i := range n {
		if !s.askHealth(i) {
			break
		}
	}
	if s.Class == Healthy {
		s.message.Str("SERVING")
	}
}

// askHealth asks for the service of the given index and judges the answer.
func (s *State) askHealth(index int) bool {
	c := s.check
	stream := uint32(2*index + 1)
	s.call.Begin(stream)
	w := wire.NewBuffer(s.io[:])
	if index == 0 {
		wire.Preface(&w)
	}
	var name [300]byte
	authority := wire.NewBuffer(name[:])
	s.putHost(&authority)
	now := s.Now()
	call := wire.HealthCall{
		TLS:       c.TLS,
		Authority: authority.Bytes(),
		UserAgent: c.UserAgent,
		Service:   c.Services[index],
		Metadata:  c.Headers[:c.NHeaders],
		TimeoutMS: max((s.deadline-now)/1e6, 1),
	}
	call.Request(&w, stream)
	if w.Full || authority.Full {
		return s.fail(Invalid, "the request is longer than 16 KiB")
	}
	if !s.write(w.Bytes()) {
		return false
	}
	if index == 0 && !c.TLS {
		s.Gather(minAnswer, min(now+gatherTime, s.deadline))
	}
	return s.awaitCall() && s.judgeCall(index)
}

// awaitCall reads until the call is answered. What has come behind the answer
// is still taken in: it may be the beginning of another frame.
func (s *State) awaitCall() bool {
	k := &s.call
	for {
		if !s.flushReplies() {
			return false
		}
		n, ok := s.read()
		if !ok {
			return false
		}
		if n == 0 {
			k.EOF()
			return s.callFailed()
		}
		answered := false
		for p := s.io[:n]; len(p) > 0; {
			used, verdict := k.Feed(p)
			p = p[used:]
			if k.ReplyLen > len(s.replies)-s.nReplies && !s.flushReplies() {
				return false
			}
			s.nReplies += copy(s.replies[s.nReplies:], k.Reply[:k.ReplyLen])
			switch verdict {
			case wire.Done:
				answered = true
			case wire.Failed:
				if !answered {
					return s.callFailed()
				}
				// The call is answered; what comes after it concerns the
				// next one, if there is one.
				return true
			}
		}
		if answered {
			return true
		}
	}
}

// flushReplies sends what the protocol demands in reply to the server's frames.
// It waits until the probe would wait itself: after the answer there is nobody
// to send it for.
func (s *State) flushReplies() bool {
	n := s.nReplies
	s.nReplies = 0
	return n == 0 || s.write(s.replies[:n])
}

// callFailed reports a call that has no answer of gRPC's form.
func (s *State) callFailed() bool {
	k := &s.call
	s.fail(NoAnswer, k.Err)
	switch {
	case k.ResetCode >= 0:
		s.message.Str(": HTTP/2 error ")
		s.message.Int(int64(k.ResetCode))
	case k.HTTPStatus != 200 && k.HTTPStatus > 0:
		s.message.Str(": it is ")
		s.message.Int(int64(k.HTTPStatus))
	}
	return false
}

// judgeCall judges an answer of gRPC's form.
func (s *State) judgeCall(index int) bool {
	k := &s.call
	if k.GRPCStatus != 0 {
		s.fail(NoAnswer, "")
		s.nameService(index)
		s.message.Str("gRPC error ")
		s.message.Str(wire.GRPCCode(k.GRPCStatus))
		switch k.GRPCStatus {
		case 5:
			s.message.Str(" (the server does not know the service)")
		case 12:
			s.message.Str(" (the server has no health service)")
		}
		return false
	}
	if !k.HasMessage {
		return s.fail(NoAnswer, "the server answered without a message")
	}
	status, ok := wire.HealthStatus(k.Message)
	if !ok {
		return s.fail(NoAnswer, "the server's health message is malformed")
	}
	if status != wire.Serving {
		s.fail(Unhealthy, "")
		s.nameService(index)
		s.message.Str(wire.ServingName(status))
		return false
	}
	return true
}

// nameService names the service in a message about one of several.
func (s *State) nameService(index int) {
	if s.check.NServices > 0 && s.check.Services[index] != "" {
		s.message.Str("service ")
		s.message.Str(s.check.Services[index])
		s.message.Str(": ")
	}
}
