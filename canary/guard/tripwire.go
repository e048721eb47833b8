//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"path"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/scene"
)

const (
	notifyReceive = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	notifySend    = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	notifyValid   = 0x40082102 // SECCOMP_IOCTL_NOTIF_ID_VALID
	flagContinue  = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	maxArgument   = 1024       // bytes read of one argument
	maxArguments  = 32
)

// notification is struct seccomp_notif.
type notification struct {
	id      uint64
	pid     uint32
	flags   uint32
	number  int32
	arch    uint32
	pointer uint64
	args    [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// trip answers each notification: report what was not foreseen, then let it
// pass or refuse it. The first execution is the application itself.
func (a *alarms) trip(fd int, armed bool, app int) {
	if fd < 0 {
		return
	}
	first := true
	for {
		var n notification
		errno := ioctl(fd, notifyReceive, unsafe.Pointer(&n))
		if errno == syscall.EINTR || errno == syscall.ENOENT {
			continue // the process was killed while it waited
		}
		if errno != 0 {
			return // every process with the filter has ended
		}
		r := response{id: n.id, flags: flagContinue}
		if first && int(n.pid) == app {
			first = false
		} else if armed && a.judge(fd, n) {
			r = response{id: n.id, errno: -int32(syscall.EACCES)}
		}
		_ = ioctl(fd, notifySend, unsafe.Pointer(&r)) // it fails if the process is gone
	}
}

// judge reports an execution that is not on the list and says whether to
// refuse it. What cannot be read is reported without its name.
func (a *alarms) judge(fd int, n notification) (refuse bool) {
	pathAt, argvAt := n.args[0], n.args[1]
	if n.number == nativeExecAt && n.arch == nativeArch {
		pathAt, argvAt = n.args[1], n.args[2]
	}
	program, argv := a.readExec(n, pathAt, argvAt)
	if ioctl(fd, notifyValid, unsafe.Pointer(&n.id)) != 0 {
		return false // what was read may be another process's
	}
	if program != "" && path.IsAbs(program) && slices.Contains(a.config.Allowed, program) {
		return false
	}
	if a.isDecoy(program) && !a.config.Deny {
		return false // it speaks for itself
	}
	kind := alert.KindExec
	if a.config.Deny {
		kind = alert.KindDenied
	}
	pid := int(n.pid)
	a.raise(alert.Event{Kind: kind, Path: program, Argv: argv, PID: pid, Ancestors: scene.Ancestors(pid), Origin: alert.FromInside})
	return a.config.Deny
}

// isDecoy: one of the planted paths.
func (a *alarms) isDecoy(program string) bool { return slices.Contains(a.config.Planted, program) }

func (a *alarms) readExec(n notification, pathAt, argvAt uint64) (program string, argv []string) {
	memory, err := syscall.Open("/proc/"+strconv.Itoa(int(n.pid))+"/mem", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", nil
	}
	defer syscall.Close(memory)
	program = text(memory, pathAt)
	if n.arch != nativeArch || n.number&x32Bit != 0 {
		return program, nil // pointers of another size
	}
	var pointer [8]byte
	for i := range uint64(maxArguments) {
		if m, err := syscall.Pread(memory, pointer[:], int64(argvAt+8*i)); err != nil || m != len(pointer) {
			break
		}
		at := binary.LittleEndian.Uint64(pointer[:])
		if at == 0 {
			break
		}
		argv = append(argv, text(memory, at))
	}
	return program, argv
}

// text reads a string up to its NUL; a page at a time, since the next may not
// be mapped.
func text(memory int, at uint64) string {
	const page = 4096
	var out []byte
	for len(out) < maxArgument {
		buf := make([]byte, min(page-at%page, uint64(maxArgument-len(out))))
		n, err := syscall.Pread(memory, buf, int64(at))
		if err != nil || n <= 0 {
			break
		}
		if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
			return string(append(out, buf[:end]...))
		}
		out = append(out, buf[:n]...)
		at += uint64(n)
	}
	return string(out)
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) syscall.Errno {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(argument))
	return errno
}
