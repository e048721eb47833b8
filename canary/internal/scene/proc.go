//go:build linux

// Package scene looks at the process it runs in and acts on PID 1. Acting is
// bound to a proof: Prove shows that PID 1 belongs to this image and to a pid
// namespace of its own, and without it no function here signals PID 1, changes
// its limits or writes to its log.
package scene

import (
	"bytes"
	"strconv"
	"strings"
	"syscall"

	"github.com/hardstand/hardstand/canary/alert"
)

const (
	maxFile      = 16 << 10 // of a file in /proc
	maxAncestors = 16
	maxPeers     = 8
	maxFDs       = 16
)

// Self is what the decoy knows of its own execution.
type Self struct {
	Path   string // executed file
	Argv   []string
	Env    []string // NAME=value
	Cwd    string
	Limits Limits
}

// Limits is the part of /proc/self/status that confines.
type Limits struct {
	Seccomp, Tracer int
	NoNewPrivs      bool
	CapEff          string
}

// ReadFile returns the first 16 KiB of a file, nil where it cannot be read.
func ReadFile(name string) []byte {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	buf := make([]byte, maxFile)
	n := 0
	for n < len(buf) {
		m, err := syscall.Read(fd, buf[n:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil || m <= 0 {
			break
		}
		n += m
	}
	return buf[:n]
}

func readLink(name string) string {
	buf := make([]byte, 4096)
	n, err := syscall.Readlink(name, buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// LookAround fills everything of e that needs no PID 1.
func LookAround(e *alert.Event, self Self) {
	e.Path, e.Argv, e.Cwd = self.Path, self.Argv, self.Cwd
	for _, line := range self.Env {
		name, _, _ := strings.Cut(line, "=")
		e.Env = append(e.Env, name)
	}
	e.UID, e.EUID, e.GID = uint32(syscall.Getuid()), uint32(syscall.Geteuid()), uint32(syscall.Getgid())
	e.PID, e.PPID = syscall.Getpid(), syscall.Getppid()
	e.Origin = alert.FromInside
	if e.PPID == 0 {
		e.Origin = alert.FromOutside
	}
	e.Uptime = uptime()
	e.BootID = strings.TrimSpace(string(ReadFile("/proc/sys/kernel/random/boot_id")))
	if fields := stat(1); len(fields) > 19 {
		e.InitStart, _ = strconv.ParseUint(fields[19], 10, 64)
	}
	e.Seccomp, e.Tracer, e.NoNewPrivs, e.CapEff = self.Limits.Seccomp, self.Limits.Tracer, self.Limits.NoNewPrivs, self.Limits.CapEff
	e.Ancestors = Ancestors(e.PPID)
	e.Peers = peers()
	place(e)
}

// ReadLimits reads /proc/self/status.
func ReadLimits() Limits {
	var l Limits
	for line := range strings.Lines(string(ReadFile("/proc/self/status"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch name {
		case "Seccomp":
			l.Seccomp, _ = strconv.Atoi(value)
		case "TracerPid":
			l.Tracer, _ = strconv.Atoi(value)
		case "NoNewPrivs":
			l.NoNewPrivs = value == "1"
		case "CapEff":
			if l.CapEff = strings.TrimLeft(value, "0"); l.CapEff == "" {
				l.CapEff = "0"
			}
		}
	}
	return l
}

// stat returns the fields of /proc/PID/stat after the command: state first.
func stat(pid int) []string {
	text := string(ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"))
	_, rest, found := strings.Cut(text[strings.LastIndexByte(text, ')')+1:], " ")
	if !found {
		return nil
	}
	return strings.Fields(rest)
}

// Ancestors lists a process and those above it, as far as they can be read.
func Ancestors(pid int) []alert.Process {
	var list []alert.Process
	for len(list) < maxAncestors && pid > 0 {
		dir := "/proc/" + strconv.Itoa(pid)
		p := alert.Process{PID: pid, Exe: readLink(dir + "/exe"), Comm: strings.TrimSpace(string(ReadFile(dir + "/comm")))}
		p.Argv = Split(ReadFile(dir + "/cmdline"))
		list = append(list, p)
		fields := stat(pid)
		if len(fields) < 2 {
			break
		}
		pid, _ = strconv.Atoi(fields[1])
	}
	return list
}

// Split cuts a list of NUL-terminated strings, as in /proc/PID/cmdline.
func Split(list []byte) []string {
	if len(list) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(list, []byte{0})), "\x00")
}

// peers names the far ends of inherited sockets: with a reverse shell, the
// intruder's address.
func peers() []alert.Peer {
	var list []alert.Peer
	for fd := 0; fd < maxFDs && len(list) < maxPeers; fd++ {
		remote, err := syscall.Getpeername(fd)
		if err != nil {
			continue
		}
		p := alert.Peer{FD: fd, Remote: address(remote)}
		if local, err := syscall.Getsockname(fd); err == nil {
			p.Local = address(local)
		}
		if p.Remote != "" && !contains(list, p.Remote) {
			list = append(list, p)
		}
	}
	return list
}

func contains(list []alert.Peer, remote string) bool {
	for _, p := range list {
		if p.Remote == remote {
			return true
		}
	}
	return false
}

func address(a syscall.Sockaddr) string {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return ip4(a.Addr[:]) + ":" + strconv.Itoa(a.Port)
	case *syscall.SockaddrInet6:
		return ip6(a.Addr[:]) + ":" + strconv.Itoa(a.Port)
	case *syscall.SockaddrUnix:
		return a.Name
	}
	return ""
}

func ip4(b []byte) string {
	return strconv.Itoa(int(b[0])) + "." + strconv.Itoa(int(b[1])) + "." + strconv.Itoa(int(b[2])) + "." + strconv.Itoa(int(b[3]))
}

func ip6(b []byte) string {
	if bytes.HasPrefix(b, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}) {
		return ip4(b[12:])
	}
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = strconv.FormatUint(uint64(b[2*i])<<8|uint64(b[2*i+1]), 16)
	}
	return "[" + strings.Join(groups, ":") + "]"
}

// Connections lists the network namespace's established connections: after an
// exploit of the application, the intruder is one of them. It takes
// milliseconds, because the kernel walks its whole table.
func Connections() []alert.Peer {
	var list []alert.Peer
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		for line := range strings.Lines(string(ReadFile(table))) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "01" || len(list) == maxPeers {
				continue
			}
			p := alert.Peer{FD: -1, Remote: hexAddress(f[2]), Local: hexAddress(f[1])}
			if p.Remote != "" && !contains(list, p.Remote) {
				list = append(list, p)
			}
		}
	}
	return list
}

// hexAddress reads an address of /proc/net/tcp: groups of four bytes in the
// machine's order, taken to be little-endian.
func hexAddress(s string) string {
	host, port, found := strings.Cut(s, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if !found || err != nil || len(host) != 8 && len(host) != 32 {
		return ""
	}
	raw := make([]byte, len(host)/2)
	for i := range raw {
		b, err := strconv.ParseUint(host[2*i:2*i+2], 16, 8)
		if err != nil {
			return ""
		}
		raw[i&^3|3-i&3] = byte(b)
	}
	if len(raw) == 4 {
		return ip4(raw) + ":" + strconv.FormatUint(number, 10)
	}
	return ip6(raw) + ":" + strconv.FormatUint(number, 10)
}

// place names the container. A runtime mounts /etc/hostname from a folder
// named by the container's id; the kubelet mounts /etc/hosts from the pod's.
func place(e *alert.Event) {
	var uts syscall.Utsname
	if syscall.Uname(&uts) == nil {
		e.Host = UTS(uts.Nodename[:])
	}
	for line := range strings.Lines(string(ReadFile("/proc/self/mountinfo"))) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		switch f[4] {
		case "/etc/hostname":
			e.Container = longHex(f[3])
		case "/etc/hosts":
			if _, rest, found := strings.Cut(f[3], "/pods/"); found {
				e.Pod, _, _ = strings.Cut(rest, "/")
			}
		}
	}
	if e.Container == "" {
		e.Container = longHex(string(ReadFile("/proc/self/cgroup")))
	}
}

// longHex finds a run of 64 hexadecimal digits.
func longHex(s string) string {
	run := 0
	for i := range len(s) {
		if c := s[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			run++
		} else {
			run = 0
		}
		if run == 64 {
			return s[i-63 : i+1]
		}
	}
	return ""
}

// UTS converts a field of uname(2).
func UTS[T int8 | uint8](field []T) string {
	var b []byte
	for _, c := range field {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
