//go:build !linux || !(amd64 || arm64) || portable

package machine

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

var started = time.Now()

// Scratch is the clock and the file system.
type Scratch struct{}

// Now returns a monotonic time in nanoseconds.
func (s *Scratch) Now() int64 { return int64(time.Since(started)) + 1 }

// Wall returns the time of day in nanoseconds since 1970.
func (s *Scratch) Wall() int64 { return time.Now().UnixNano() }

// Sleep waits for ns nanoseconds.
func (s *Scratch) Sleep(ns int64) { time.Sleep(time.Duration(ns)) }

// Limit is left to /proc.
func (s *Scratch) Limit(pid, resource int) (soft, hard uint64, cause Cause) {
	return 0, 0, Unsupported
}

// ReadFile reads the beginning of a file into buf.
func (s *Scratch) ReadFile(path string, buf []byte) (f File, cause Cause) {
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return f, causeOf(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return f, causeOf(err)
	}
	f.Regular, f.ModTime = info.Mode().IsRegular(), info.ModTime().UnixNano()
	if !f.Regular {
		return f, 0
	}
	f.N, err = io.ReadFull(file, buf)
	f.More = err == nil
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return f, causeOf(err)
	}
	return f, 0
}

// Socket is a connection on which every operation has a deadline, a time as
// Now gives it.
type Socket struct {
	Scratch
	Chatty bool // of no consequence here
	conn   net.Conn
}

// Like makes s call the system as o does.
func (s *Socket) Like(*Socket) {}

func (s *Socket) at(deadline int64) time.Time { return started.Add(time.Duration(deadline - 1)) }

// Connect opens s and connects it to a.
func (s *Socket) Connect(a *Addr, deadline int64) Cause {
	return s.dial("tcp", a, deadline)
}

func (s *Socket) dial(network string, a *Addr, deadline int64) Cause {
	address := a.Path
	if a.Family == Unix {
		network = "unix"
	} else {
		address = net.JoinHostPort(a.ip().String(), strconv.Itoa(int(a.Port)))
	}
	d := net.Dialer{Deadline: s.at(deadline)}
	conn, err := d.Dial(network, address)
	if err != nil {
		return causeOf(err)
	}
	s.conn = conn
	return 0
}

func (a *Addr) ip() netip.Addr {
	if a.Family == IPv4 {
		return netip.AddrFrom4([4]byte(a.IP[:4]))
	}
	ip := netip.AddrFrom16(a.IP)
	if a.Zone != 0 {
		ip = ip.WithZone(strconv.Itoa(int(a.Zone)))
	}
	return ip
}

// Read reads what has come into p. It returns 0 bytes and no cause at the end
// of the stream.
func (s *Socket) Read(p []byte, deadline int64) (int, Cause) {
	if err := s.conn.SetReadDeadline(s.at(deadline)); err != nil {
		return 0, causeOf(err)
	}
	n, err := s.conn.Read(p)
	if n > 0 || errors.Is(err, io.EOF) {
		return n, 0
	}
	return 0, causeOf(err)
}

// Write writes all of p.
func (s *Socket) Write(p []byte, deadline int64) Cause {
	if err := s.conn.SetWriteDeadline(s.at(deadline)); err != nil {
		return causeOf(err)
	}
	_, err := s.conn.Write(p)
	return causeOf(err)
}

// Gather does nothing here: it only saves time.
func (*Socket) Gather(int32, int64) {}

// Close closes s; it may be connected again.
func (s *Socket) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// IsOwn reports whether a is an address of this machine.
func (s *Socket) IsOwn(a *Addr) bool {
	if a.Family == Unix {
		return true
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, own := range list {
		prefix, err := netip.ParsePrefix(own.String())
		if err == nil && prefix.Addr().Unmap().WithZone("") == a.ip().WithZone("") {
			return true
		}
	}
	return false
}

// Datagram opens s as a datagram socket connected to a, for a DNS question.
func (s *Socket) Datagram(a *Addr) Cause {
	return s.dial("udp", a, s.Now()+1e9)
}

// ReadDatagram reads one datagram as Read does.
func (s *Socket) ReadDatagram(p []byte, deadline int64) (int, Cause) { return s.Read(p, deadline) }

// Random fills p with random bytes.
func (s *Scratch) Random(p []byte) bool {
	_, err := rand.Read(p)
	return err == nil
}

// Print writes p to a standard stream.
func (s *Scratch) Print(fd int, p []byte) {
	to := os.Stdout
	if fd == 2 {
		to = os.Stderr
	}
	_, _ = to.Write(p) // nobody is left to tell
}

// Exit ends the process.
func Exit(code int) { os.Exit(code) }

// Args returns the command line.
func Args() []string { return os.Args }

// Environ returns the environment.
func Environ() []string { return os.Environ() }

// causeOf translates an error.
func causeOf(err error) Cause {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return NoAccess
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return NotLocal
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return NoFamily
	case errors.Is(err, syscall.ENETUNREACH):
		return NoNet
	case errors.Is(err, syscall.EHOSTUNREACH):
		return NoHost
	}
	return Unsupported
}
