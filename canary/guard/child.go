//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

// The filter must be set in the child between fork and exec, where Go runs no
// code of ours. So the guard executes itself once more: that process sets the
// filter, sends the notification descriptor back, and becomes the application.

const (
	childSocket = 3 // descriptor of the socket pair in the child
	okByte      = 1
)

func startApplication(argv []string) (pid, tripwire int, err error) {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, -1, err
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, -1, err
	}
	defer syscall.Close(pair[0])
	args := append([]string{childRole, program}, argv[1:]...)
	pid, err = syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2, uintptr(pair[1])},
	})
	_ = syscall.Close(pair[1]) // ours is pair[0]
	if err != nil {
		return 0, -1, err
	}
	tripwire, err = receive(pair[0])
	return pid, tripwire, err
}

// receive takes the descriptor; -1 where the kernel or the container's own
// filter refuses user notification, and the application runs without.
func receive(socket int) (int, error) {
	buf, oob := make([]byte, 1), make([]byte, 64)
	for {
		n, noob, _, _, err := syscall.Recvmsg(socket, buf, oob, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		if n == 0 {
			return -1, errors.New("the step before the application ended")
		}
		messages, err := syscall.ParseSocketControlMessage(oob[:noob])
		if err != nil || len(messages) == 0 {
			return -1, nil
		}
		fds, err := syscall.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return -1, err
		}
		syscall.CloseOnExec(fds[0])
		return fds[0], nil
	}
}

// becomeApplication returns only if it fails.
func becomeApplication(argv []string) error {
	runtime.LockOSThread() // the filter is the thread's, and so is the exec
	var rights []byte
	if fd, err := listen(); err == nil {
		rights = syscall.UnixRights(fd)
		defer syscall.Close(fd)
		syscall.CloseOnExec(fd)
	}
	syscall.CloseOnExec(childSocket)
	if err := syscall.Sendmsg(childSocket, []byte{okByte}, rights, nil, 0); err != nil {
		return fmt.Errorf("hand over the tripwire: %w", err)
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

const (
	prSetNoNewPrivs = 38
	seccompFilter   = 1      // SECCOMP_SET_MODE_FILTER
	newListener     = 1 << 3 // SECCOMP_FILTER_FLAG_NEW_LISTENER
	returnAllow     = 0x7fff0000
	returnNotify    = 0x7fc00000
	loadWord        = 0x20 // BPF_LD|BPF_W|BPF_ABS
	jumpEqual       = 0x15 // BPF_JMP|BPF_JEQ|BPF_K
	returnConstant  = 0x06 // BPF_RET|BPF_K
	offsetNumber    = 0    // struct seccomp_data
	offsetArch      = 4
	x32Bit          = 0x40000000
	x32Exec, x32At  = x32Bit | 520, x32Bit | 545
	otherExec       = 11 // execve of 32-bit x86 and Arm
)

type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// filter asks the guard about every way to execute a program, in the native
// calling convention, in x32 and in the 32-bit one, and allows all else.
func filter() []instruction {
	native := []uint32{nativeExec, nativeExecAt, x32Exec, x32At}
	other := []uint32{otherExec, otherExecAt}
	f := []instruction{
		{loadWord, 0, 0, offsetArch},
		{jumpEqual, uint8(2 + len(other)), 0, nativeArch},
		{loadWord, 0, 0, offsetNumber},
	}
	f = append(f, jumps(other)...)
	f = append(f, instruction{returnConstant, 0, 0, returnAllow})
	// The first jump lands here.
	f = append(f, instruction{loadWord, 0, 0, offsetNumber})
	f = append(f, jumps(native)...)
	f = append(f, instruction{returnConstant, 0, 0, returnAllow}, instruction{returnConstant, 0, 0, returnNotify})
	for i := range f {
		if f[i].jt == toNotify {
			f[i].jt = uint8(len(f) - 2 - i)
		}
	}
	return f
}

const toNotify = 0xff

func jumps(numbers []uint32) []instruction {
	var f []instruction
	for _, n := range numbers {
		f = append(f, instruction{jumpEqual, toNotify, 0, n})
	}
	return f
}

// listen installs the filter on this thread and returns its descriptor.
func listen() (int, error) {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		return -1, errno
	}
	f := filter()
	program := struct {
		length uint16
		filter *instruction
	}{uint16(len(f)), &f[0]}
	fd, _, errno := syscall.RawSyscall(sysSeccomp, seccompFilter, newListener, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
