// Package machine is the probe's view of the operating system: sockets with a
// deadline, the clock, whole small files, resource limits, output and exit.
//
// On Linux on amd64 and arm64 it speaks to the kernel directly. Nothing there
// allocates or needs the Go runtime, so the same code serves before the runtime
// has started (docs/probe-fast-path.md). Everywhere else, and with the build
// tag portable, it stands on packages net and os.
//
// It decides nothing: which targets may be reached is package check's business.
package machine

import "github.com/hardstand/hardstand/probe/internal/wire"

// Cause says why an operation failed; zero is success. The numbers are those of
// Linux, on every platform.
type Cause int

// Causes that callers tell apart.
const (
	Denied      Cause = 1 // EPERM
	NotFound    Cause = 2
	Interrupted Cause = 4
	NoAccess    Cause = 13 // EACCES
	Busy        Cause = 11 // EAGAIN
	NotDir      Cause = 20
	IsDir       Cause = 21
	TooManyProc Cause = 23
	TooMany     Cause = 24
	TooBig      Cause = 27
	BrokenPipe  Cause = 32
	NoSys       Cause = 38
	NoFamily    Cause = 97
	NotLocal    Cause = 99
	NetDown     Cause = 100
	NoNet       Cause = 101
	Aborted     Cause = 103
	Reset       Cause = 104
	TimedOut    Cause = 110
	Refused     Cause = 111
	NoHost      Cause = 113
	InProgress  Cause = 115
	Unsupported Cause = 4095 // not possible on this platform
)

// Text names c for a person; "error" if it has no name for it.
//
//go:noinline
func (c Cause) Text() string {
	switch c {
	case Denied:
		return "operation not permitted"
	case NotFound:
		return "no such file"
	case NoAccess:
		return "permission denied"
	case NotDir:
		return "not a directory"
	case IsDir:
		return "is a directory"
	case TooManyProc, TooMany:
		return "too many open files"
	case TooBig:
		return "too large"
	case NoFamily:
		return "address family not supported"
	case NotLocal:
		return "address not available"
	case NetDown, NoNet:
		return "network unreachable"
	case Aborted, Reset, BrokenPipe:
		return "connection reset"
	case TimedOut:
		return "timed out"
	case Refused:
		return "connection refused"
	case NoHost:
		return "host unreachable"
	case Unsupported:
		return "not supported on this platform"
	}
	return "error"
}

// Put appends c's text and, if that says little, its number.
//
//go:noinline
func (c Cause) Put(w *wire.Buffer) {
	t := c.Text()
	w.Str(t)
	if t == "error" {
		w.Byte(' ')
		w.Int(int64(c))
	}
}

// Family of an address.
type Family uint8

// Families.
const (
	IPv4 Family = iota + 1
	IPv6
	Unix
)

// MaxSocketPath is the longest path of a unix socket in bytes. A leading '@'
// stands for Linux's abstract namespace.
const MaxSocketPath = 107

// Addr is where to connect. IP holds 4 or 16 bytes, in network order.
type Addr struct {
	_      [0]func() // not comparable: no code to compare it
	Family Family
	IP     [16]byte
	Zone   uint32 // scope of a link-local IPv6 address, 0 if none
	Port   uint16
	Path   string
}

// Unlimited is a resource limit that is not set.
const Unlimited = ^uint64(0)

// File is what ReadFile found.
type File struct {
	N       int   // bytes read
	Regular bool  // a regular file
	ModTime int64 // nanoseconds since 1970
	More    bool  // longer than the buffer
}
