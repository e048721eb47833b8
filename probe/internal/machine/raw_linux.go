//go:build linux && (amd64 || arm64) && !portable

package machine

import (
	"syscall"
	"unsafe"
)

// The system call numbers that package syscall does not have on both.
const (
	sysPrlimit64 = syscall.SYS_PRLIMIT64
	sysPpoll     = syscall.SYS_PPOLL
	atFDCWD      = -100
)

// call makes a system call. The directive makes the compiler move whatever its
// pointer arguments point to off the stack: before the runtime starts that must
// already be a package variable, because there is no heap.
//
//go:uintptrescapes
func (s *Scratch) call(n, a, b, c, d, e, f uintptr) (uintptr, Cause) {
	if !s.PreRuntime {
		r, _, errno := syscall.Syscall6(n, a, b, c, d, e, f)
		return r, Cause(errno)
	}
	r := rawCall(n, a, b, c, d, e, f)
	if r > -4096&(1<<64-1) {
		return 0, Cause(-r)
	}
	return r, 0
}

// rawCall makes a system call and returns what the kernel returns. Package
// syscall has one too, but far enough from this package in the binary to cost
// a page fault.
func rawCall(n, a, b, c, d, e, f uintptr) uintptr

// Scratch holds the memory that system calls read and write, because it must
// not lie on a goroutine's stack. It is part of whatever struct does the I/O.
type Scratch struct {
	// PreRuntime says that the Go runtime has not started: system calls must
	// not tell the scheduler, which does not exist yet.
	PreRuntime bool

	name    [112]byte
	nameLen uint32
	poll    struct {
		fd              int32
		events, revents int16
	}
	time  [2]int64 // struct timespec or timeval
	pair  [2]uint64
	stat  [256]byte
	value int32
}

const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// Now returns a monotonic time in nanoseconds.
//
//go:noinline
func (s *Scratch) Now() int64 { return s.clock(clockMonotonic) }

// Wall returns the time of day in nanoseconds since 1970.
func (s *Scratch) Wall() int64 { return s.clock(clockRealtime) }

func (s *Scratch) clock(which uintptr) int64 {
	s.call(syscall.SYS_CLOCK_GETTIME, which, uintptr(unsafe.Pointer(&s.time)), 0, 0, 0, 0)
	return s.time[0]*1e9 + s.time[1]
}

// Sleep waits for ns nanoseconds.
func (s *Scratch) Sleep(ns int64) {
	deadline := s.Now() + ns
	for {
		left := deadline - s.Now()
		if left <= 0 {
			return
		}
		s.time = [2]int64{left / 1e9, left % 1e9}
		s.call(sysPpoll, 0, 0, uintptr(unsafe.Pointer(&s.time)), 0, 0, 0)
	}
}

// Limit reads a resource limit of a process through prlimit(2).
func (s *Scratch) Limit(pid, resource int) (soft, hard uint64, cause Cause) {
	_, cause = s.call(sysPrlimit64, uintptr(pid), uintptr(resource), 0, uintptr(unsafe.Pointer(&s.pair)), 0, 0)
	return s.pair[0], s.pair[1], cause
}

// ReadFile reads the beginning of a file into buf, which must be longer than
// the path: the path is put there first, to end it with the NUL that the kernel
// wants. It does not wait: a named pipe without a writer reads as empty.
func (s *Scratch) ReadFile(path string, buf []byte) (f File, cause Cause) {
	n := copy(buf, path)
	if n >= len(buf) {
		return f, NotFound
	}
	buf[n] = 0
	cwd := atFDCWD
	fd, cause := s.call(syscall.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&buf[0])),
		syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0, 0, 0)
	if cause != 0 {
		return f, cause
	}
	f, cause = s.readAll(fd, buf)
	s.call(syscall.SYS_CLOSE, fd, 0, 0, 0, 0, 0)
	return f, cause
}

func (s *Scratch) readAll(fd uintptr, buf []byte) (f File, cause Cause) {
	stat := (*syscall.Stat_t)(unsafe.Pointer(&s.stat))
	if _, cause = s.call(syscall.SYS_FSTAT, fd, uintptr(unsafe.Pointer(&s.stat)), 0, 0, 0, 0); cause != 0 {
		return f, cause
	}
	f.Regular = stat.Mode&syscall.S_IFMT == syscall.S_IFREG
	f.ModTime = int64(stat.Mtim.Sec)*1e9 + int64(stat.Mtim.Nsec)
	for f.N < len(buf) {
		n, cause := s.call(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[f.N])), uintptr(len(buf)-f.N), 0, 0, 0)
		if cause == Interrupted {
			continue
		}
		if cause != 0 {
			return f, cause
		}
		if n == 0 {
			return f, 0
		}
		f.N += int(n)
	}
	f.More = true
	return f, 0
}

// Socket is a stream socket on which every operation has a deadline, a time as
// Now gives it.
type Socket struct {
	Scratch
	// Chatty says that the conversation takes several writes.
	Chatty bool
	fd     uintptr
	open   bool
	// gathered says that the socket is readable only with several bytes,
	// ready that it is known to be.
	gathered, ready bool
}

// Like makes s call the system as o does.
func (s *Socket) Like(o *Socket) { s.PreRuntime = o.PreRuntime }

// Connect opens s and connects it to a. The call blocks, within a send timeout:
// a non-blocking one on loopback always comes back unfinished, because the
// answer waits in the backlog of the socket that the call itself holds, and
// would cost a poll and two calls more.
func (s *Socket) Connect(a *Addr, deadline int64) Cause {
	left := deadline - s.Now()
	if left <= 0 {
		return TimedOut
	}
	if cause := s.create(a, syscall.SOCK_STREAM); cause != 0 {
		return cause
	}
	s.time = [2]int64{left / 1e9, left%1e9/1e3 + 1}
	s.call(syscall.SYS_SETSOCKOPT, s.fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, uintptr(unsafe.Pointer(&s.time)), 16, 0)
	_, cause := s.call(syscall.SYS_CONNECT, s.fd, uintptr(unsafe.Pointer(&s.name)), uintptr(s.nameLen), 0, 0, 0)
	switch cause {
	case InProgress, Busy:
		cause = TimedOut
	case Interrupted:
		cause = s.connected(deadline)
	}
	if cause != 0 {
		s.Close()
		return cause
	}
	s.noDelay(a)
	return 0
}

// connected waits for a connection that a signal has left under way and returns its outcome.
func (s *Socket) connected(deadline int64) Cause {
	if cause := s.wait(pollOut, deadline); cause != 0 {
		return cause
	}
	s.value, s.nameLen = 0, 4
	_, cause := s.call(syscall.SYS_GETSOCKOPT, s.fd, syscall.SOL_SOCKET, syscall.SO_ERROR,
		uintptr(unsafe.Pointer(&s.value)), uintptr(unsafe.Pointer(&s.nameLen)), 0)
	if cause != 0 {
		return cause
	}
	return Cause(s.value)
}

// NoDelay makes small writes leave at once. Only a conversation of several
// writes needs it: without it a TLS handshake stalls for 40 ms.
func (s *Socket) noDelay(a *Addr) {
	if a.Family == Unix || !s.Chatty {
		return
	}
	s.value = 1
	s.call(syscall.SYS_SETSOCKOPT, s.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, uintptr(unsafe.Pointer(&s.value)), 4, 0)
}

//go:noinline
func (s *Socket) create(a *Addr, kind uintptr) Cause {
	family := uintptr(syscall.AF_INET)
	switch a.Family {
	case IPv6:
		family = syscall.AF_INET6
	case Unix:
		family = syscall.AF_UNIX
	}
	if !s.setName(a) {
		return NotFound
	}
	fd, cause := s.call(syscall.SYS_SOCKET, family, kind|syscall.SOCK_CLOEXEC, 0, 0, 0, 0)
	if cause != 0 {
		return cause
	}
	s.fd, s.open = fd, true
	return 0
}

// setName writes a as a struct sockaddr into the scratch memory.
func (s *Socket) setName(a *Addr) bool {
	clear(s.name[:])
	b := &s.name
	switch a.Family {
	case IPv4:
		b[0], b[2], b[3] = syscall.AF_INET, byte(a.Port>>8), byte(a.Port)
		copy(b[4:], a.IP[:4])
		s.nameLen = 16
	case IPv6:
		b[0], b[2], b[3] = syscall.AF_INET6, byte(a.Port>>8), byte(a.Port)
		copy(b[8:], a.IP[:])
		for i := range 4 { // both platforms are little-endian
			b[24+i] = byte(a.Zone >> (8 * i))
		}
		s.nameLen = 28
	case Unix:
		if len(a.Path) > MaxSocketPath || a.Path == "" {
			return false
		}
		b[0] = syscall.AF_UNIX
		n := copy(b[2:], a.Path)
		s.nameLen = uint32(2 + n + 1)
		if a.Path[0] == '@' {
			b[2] = 0
			s.nameLen--
		}
	}
	return true
}

const (
	pollIn  = 1
	pollOut = 4
)

// wait waits until s is ready or the deadline has passed.
//
//go:noinline
func (s *Socket) wait(events int16, deadline int64) Cause {
	if s.gathered {
		s.gathered = false
		s.lowWater(1)
	}
	for {
		left := deadline - s.Now()
		if left <= 0 {
			return TimedOut
		}
		s.poll.fd, s.poll.events = int32(s.fd), events
		s.time = [2]int64{left / 1e9, left % 1e9}
		n, cause := s.call(sysPpoll, uintptr(unsafe.Pointer(&s.poll)), 1, uintptr(unsafe.Pointer(&s.time)), 0, 0, 0)
		if cause != 0 && cause != Interrupted {
			return cause
		}
		if cause == 0 && n > 0 {
			return 0
		}
	}
}

// Gather makes the next Read wait until n bytes have come, the stream has ended
// or the time until, which Now gives, has passed. A server that sends its answer
// in pieces then wakes the probe once.
func (s *Socket) Gather(n int32, until int64) {
	s.lowWater(n)
	s.ready = s.wait(pollIn, until) == 0
	s.gathered = true
}

// lowWater sets how many bytes make the socket readable.
//
//go:noinline
func (s *Socket) lowWater(n int32) {
	s.value = n
	s.call(syscall.SYS_SETSOCKOPT, s.fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, uintptr(unsafe.Pointer(&s.value)), 4, 0)
}

// Read reads what has come into p, which must not lie on the stack. It returns
// 0 bytes and no cause at the end of the stream.
func (s *Socket) Read(p []byte, deadline int64) (int, Cause) {
	if len(p) == 0 {
		return 0, 0
	}
	for {
		if !s.ready {
			if cause := s.wait(pollIn, deadline); cause != 0 {
				return 0, cause
			}
		}
		s.ready = false
		n, cause := s.call(syscall.SYS_RECVFROM, s.fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT, 0, 0)
		if cause == Busy || cause == Interrupted {
			continue
		}
		if cause != 0 {
			return 0, cause
		}
		return int(n), 0
	}
}

// Write writes all of p, which must not lie on the stack.
func (s *Socket) Write(p []byte, deadline int64) Cause {
	for len(p) > 0 {
		n, cause := s.call(syscall.SYS_SENDTO, s.fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT, 0, 0)
		switch cause {
		case 0:
			p = p[n:]
		case Interrupted:
		case Busy:
			if cause := s.wait(pollOut, deadline); cause != 0 {
				return cause
			}
		default:
			return cause
		}
	}
	return 0
}

// Close closes s; it may be connected again.
//
//go:noinline
func (s *Socket) Close() {
	if s.open {
		s.open, s.gathered, s.ready = false, false, false
		s.call(syscall.SYS_CLOSE, s.fd, 0, 0, 0, 0, 0)
	}
}

// IsOwn reports whether a is an address of this machine. It asks the routing
// table, by connecting a datagram socket, which sends nothing: to an address of
// its own, and only there, the kernel speaks from that same address.
func (s *Socket) IsOwn(a *Addr) bool {
	if a.Family == Unix {
		return true
	}
	if s.create(a, syscall.SOCK_DGRAM) != 0 {
		return false
	}
	_, cause := s.call(syscall.SYS_CONNECT, s.fd, uintptr(unsafe.Pointer(&s.name)), uintptr(s.nameLen), 0, 0, 0)
	if cause == 0 {
		clear(s.name[:])
		s.nameLen = uint32(len(s.name))
		_, cause = s.call(syscall.SYS_GETSOCKNAME, s.fd, uintptr(unsafe.Pointer(&s.name)), uintptr(unsafe.Pointer(&s.nameLen)), 0, 0, 0)
	}
	s.Close()
	if cause != 0 {
		return false
	}
	if a.Family == IPv4 {
		return s.nameLen >= 16 && string(s.name[4:8]) == string(a.IP[:4])
	}
	return s.nameLen >= 28 && string(s.name[8:24]) == string(a.IP[:])
}

// Datagram opens s as a datagram socket connected to a, for a DNS question.
func (s *Socket) Datagram(a *Addr) Cause {
	if cause := s.create(a, syscall.SOCK_DGRAM); cause != 0 {
		return cause
	}
	_, cause := s.call(syscall.SYS_CONNECT, s.fd, uintptr(unsafe.Pointer(&s.name)), uintptr(s.nameLen), 0, 0, 0)
	if cause != 0 {
		s.Close()
	}
	return cause
}

// ReadDatagram reads one datagram as Read does.
func (s *Socket) ReadDatagram(p []byte, deadline int64) (int, Cause) { return s.Read(p, deadline) }

// Random fills p, which must not lie on the stack, with random bytes.
func (s *Scratch) Random(p []byte) bool {
	n, cause := s.call(sysGetrandom, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0, 0)
	return cause == 0 && int(n) == len(p)
}

// Print writes p, which must not lie on the stack, to a standard stream.
func (s *Scratch) Print(fd int, p []byte) {
	for len(p) > 0 {
		n, cause := s.call(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		if cause == Interrupted {
			continue
		}
		if cause != 0 {
			return
		}
		p = p[n:]
	}
}

// Exit ends the process.
func Exit(code int) {
	for {
		rawCall(syscall.SYS_EXIT_GROUP, uintptr(code), 0, 0, 0, 0, 0)
	}
}

//go:linkname runtimeArgs os.runtime_args
func runtimeArgs() []string

//go:linkname runtimeEnvs syscall.runtime_envs
func runtimeEnvs() []string

// Args returns the command line. It asks the runtime directly, as package os
// does, because package os would be a seventh of the plain binary.
func Args() []string { return runtimeArgs() }

// Environ returns the environment.
func Environ() []string { return runtimeEnvs() }
