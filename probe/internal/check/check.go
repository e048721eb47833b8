// Package check performs one health check: it connects to a target, speaks its
// protocol and judges the answer. There is a file for each protocol.
//
// A check needs no heap and no Go runtime, except for TLS, so that it can run
// before the runtime has started (docs/probe-fast-path.md): all memory it uses
// is in its State and Buffers. It never prints or keeps what a server answered, and it
// connects to nothing that the policy of the binary does not allow.
package check

import (
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// Kind is the protocol of a check.
type Kind uint8

// Kinds.
const (
	HTTP Kind = iota
	GRPC
	TCP
	FastCGI
	File
)

// Limits of a check's definition.
const (
	MaxHeaders  = 16
	MaxServices = 16
	MaxRequest  = 16 << 10 // bytes of one request
)

// Check says what to check and what to expect. Strings are validated by
// SetTarget and by package option, and may be written to a connection as they
// are. The zero value checks http://localhost:8080/.
type Check struct {
	_    [0]func() // not comparable: no code to compare it
	Kind Kind
	TLS  bool
	// Host is "" or "localhost" (127.0.0.1, then ::1), an IP address without
	// brackets, or a name.
	Host   string
	Port   uint16
	Socket string // path of a unix socket, instead of Host and Port
	// Path is the request target of HTTP, the script path of FastCGI with
	// its query, or the path of a file.
	Path string
	Text string // the target for messages, without query

	ConnectTimeout int64 // nanoseconds; 0: the total timeout covers connecting

	Method    string // default GET
	HostName  string // Host header or :authority; default from the target
	UserAgent string
	NHeaders  int
	Codes     wire.Codes
	Contains  string // the body must contain it
	JSONPath  string // the value there in the body must be JSONWant
	JSONWant  string
	Redirects bool // follow redirects to the same scheme, host and port

	NServices int

	CAFile     string
	ServerName string
	CertFile   string
	KeyFile    string
	Insecure   bool

	MaxAge    int64  // nanoseconds; 0: any age
	FirstLine string // first line that a file must have; "": any

	Headers  [MaxHeaders]string // "Name: value"; metadata of gRPC
	Services [MaxServices]string
}

// Class of an outcome. Its number is the exit code of grpc_health_probe.
type Class int

// Classes.
const (
	Healthy   Class = 0
	Invalid   Class = 1 // the arguments are wrong
	NoConnect Class = 2 // no connection, no TLS session, forbidden target
	NoAnswer  Class = 3 // no answer in time, or a malformed one
	Unhealthy Class = 4 // the answer says no
)

// Phase of a check, for its times.
type Phase int

// Phases.
const (
	PhaseConnect Phase = iota
	PhaseTLS
	PhaseAnswer
	Phases
)

var phaseNames = [Phases]string{"connect", "tls", "answer"}

// Name returns p's name.
func (p Phase) Name() string { return phaseNames[p] }

// State is a check in progress and then its outcome. Its Buffers must be set.
type State struct {
	Class Class
	// Timing asks for the times of the phases: reading the clock is a good
	// part of what a check costs.
	Timing bool
	Took   [Phases]int64 // nanoseconds
	Total  int64

	check    *Check
	began    int64
	mark     int64 // when the phase under way began
	deadline int64
	timeout  int64
	phase    Phase
	doing    string
	secure   stream
	target   string // request target, after redirects
	message  wire.Buffer

	http wire.Response
	fcgi wire.FastCGI
	machine.Socket
	addresses addresses
	nReplies  int
	replies   [128]byte // HTTP/2 frames to send before the next wait
	text      [400]byte
	*Buffers
}

// Buffers is the memory of a State that is large and mostly never touched,
// which before the runtime starts means never paid for.
type Buffers struct {
	call     wire.Call                            // next to io, to lie on its first page
	io       [max(MaxRequest, wire.MaxFrame)]byte // the request, then what is read
	pieces   wire.CallMemory
	answer   wire.ResponseText
	redirect [wire.MaxLine]byte
	resolver resolver
	body     [wire.MaxBodyBytes]byte
}

// Spare returns memory for other uses before and after Run.
func (b *Buffers) Spare() []byte { return b.io[:] }

// stream is an encrypted connection on top of the socket.
type stream struct {
	read  func(p []byte) (int, string)
	write func(p []byte) string
}

// startTLS encrypts the connection of s and returns why that failed, or "". It
// is nil before the runtime has started and in a probe built without TLS.
var startTLS func(s *State) (stream, string)

// CanTLS reports whether this probe, at this point, can check TLS targets.
func CanTLS() bool { return startTLS != nil }

// Message says in one line what came of the check.
func (s *State) Message() []byte { return s.message.Bytes() }

// Run performs c within timeout nanoseconds and returns its class.
func (s *State) Run(c *Check, timeout int64) Class {
	s.check, s.timeout = c, timeout
	s.began = s.Now()
	s.mark = s.began
	s.deadline = s.began + timeout
	s.Took = [Phases]int64{}
	s.message = wire.NewBuffer(s.text[:])
	s.secure = stream{}
	s.Class = Healthy
	s.phase, s.doing = PhaseConnect, "connecting"
	switch c.Kind {
	case HTTP:
		s.checkHTTP()
	case GRPC:
		s.checkGRPC()
	case TCP:
		s.checkTCP()
	case FastCGI:
		s.checkFastCGI()
	case File:
		s.checkFile()
	}
	s.Socket.Close()
	end := s.Now()
	s.Took[s.phase] += end - s.mark
	s.Total = end - s.began
	return s.Class
}

// fail ends the check with a reason. Only the first reason counts.
//
//go:noinline
func (s *State) fail(class Class, why string) bool {
	if s.Class == Healthy {
		s.Class = class
		s.message = wire.NewBuffer(s.text[:])
		s.message.Str(why)
	}
	return false
}

// failCause ends the check with what was being done and the system's reason.
//
//go:noinline
func (s *State) failCause(class Class, what string, cause machine.Cause) bool {
	if s.Class != Healthy {
		return false
	}
	s.fail(class, what)
	if what != "" {
		s.message.Str(": ")
	}
	cause.Put(&s.message)
	return false
}

// timedOut ends the check because its time is over.
//
//go:noinline
func (s *State) timedOut() bool {
	class := NoAnswer
	if s.phase != PhaseAnswer {
		class = NoConnect
	}
	if s.Class == Healthy {
		s.fail(class, "timed out after ")
		PutDuration(&s.message, s.Now()-s.began)
		s.message.Str(" ")
		s.message.Str(s.doing)
	}
	return false
}

// enter ends one phase and starts another; doing is what to say if time runs
// out in it.
func (s *State) enter(p Phase, doing string) {
	if s.Timing {
		now := s.Now()
		s.Took[s.phase] += now - s.mark
		s.mark = now
	}
	s.phase, s.doing = p, doing
}

// read reads into s.io. It returns 0 and true at the end of the stream.
//
//go:noinline
func (s *State) read() (int, bool) {
	if s.secure.read != nil {
		n, why := s.secure.read(s.io[:])
		if why == timeoutText {
			return 0, s.timedOut()
		}
		if why != "" {
			return 0, s.fail(NoAnswer, why)
		}
		return n, true
	}
	n, cause := s.Socket.Read(s.io[:], s.deadline)
	switch cause {
	case 0:
		return n, true
	case machine.TimedOut:
		return 0, s.timedOut()
	}
	return 0, s.failCause(NoAnswer, s.doing, cause)
}

// write sends p, which must be part of s.
//
//go:noinline
func (s *State) write(p []byte) bool {
	if s.secure.read != nil {
		why := s.secure.write(p)
		if why == timeoutText {
			return s.timedOut()
		}
		if why != "" {
			return s.fail(NoAnswer, why)
		}
		return true
	}
	switch cause := s.Socket.Write(p, s.deadline); cause {
	case 0:
		return true
	case machine.TimedOut:
		return s.timedOut()
	default:
		return s.failCause(NoAnswer, "sending the request", cause)
	}
}

// timeoutText is the reason a stream gives for a deadline that has passed.
const timeoutText = "timed out"

// PutDuration appends ns as milliseconds, or seconds if it is one or more.
//
//go:noinline
func PutDuration(w *wire.Buffer, ns int64) {
	unit, name := int64(1e6), "ms"
	if ns >= 1e9 {
		unit, name = 1e9, "s"
	}
	w.Int(ns / unit)
	if rest := ns % unit / (unit / 100); rest > 0 {
		w.Byte('.')
		w.Byte(byte('0' + rest/10))
		if rest%10 > 0 {
			w.Byte(byte('0' + rest%10))
		}
	}
	w.Str(name)
}
