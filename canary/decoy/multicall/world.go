//go:build linux

package main

import (
	"io"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/hardstand/hardstand/canary/decoy/internal/face"
	"github.com/hardstand/hardstand/canary/internal/scene"
)

func world(self scene.Self, now time.Time) face.World {
	w := face.World{
		Cwd: self.Cwd, UID: syscall.Geteuid(), GID: syscall.Getegid(), PID: syscall.Getpid(), Now: now.UTC(),
		Environ: self.Env, In: descriptor(0), Out: descriptor(1), Err: descriptor(2), Terminal: isTerminal(0),
		List: list, Open: open, Exists: exists,
	}
	w.Groups, _ = syscall.Getgroups() // none is an answer
	var uts syscall.Utsname
	if syscall.Uname(&uts) == nil {
		w.Release, w.Machine, w.Host = scene.UTS(uts.Release[:]), scene.UTS(uts.Machine[:]), scene.UTS(uts.Nodename[:])
	}
	return w
}

// descriptor is an open file without package os.
type descriptor int

func (d descriptor) Read(b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(d), b)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (d descriptor) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := syscall.Write(int(d), b[done:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func (d descriptor) Close() error { return syscall.Close(int(d)) }

func isTerminal(fd uintptr) bool {
	var termios [64]byte
	_, _, errno := syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TCGETS, uintptr(unsafe.Pointer(&termios)))
	return errno == 0
}

func open(file string) (io.ReadCloser, error) {
	fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return descriptor(fd), nil
}

func exists(file string) bool {
	var st syscall.Stat_t
	return syscall.Stat(file, &st) == nil
}

func list(dir string) ([]string, error) {
	fd, err := syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err == syscall.ENOTDIR {
		return []string{dir[strings.LastIndexByte(dir, '/')+1:]}, nil
	}
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	var names []string
	buf := make([]byte, 8192)
	for {
		n, err := syscall.ReadDirent(fd, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
	}
}
