package main

import (
	"os/exec"
	"syscall"
	"unsafe"
)

func newNamespace(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
}

// setLatch sets this process's RLIMIT_RTTIME.
func setLatch(soft, hard uint64) error {
	limit := [2]uint64{soft, hard}
	const rtTime = 15
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, 0, rtTime, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
