package spawn

import (
	"syscall"
	"time"
	"unsafe"
)

func vforkExec(path, argv, envp, stderr uintptr) (pid uintptr)

// Start forks and executes with bare system calls, because the standard
// library's way, a pipe, some sixty signal handlers to reset, a scheduler to
// wake, costs more than a small program does.
func Start(c Command) (Process, error) {
	path, err := syscall.BytePtrFromString(c.Argv[0])
	if err != nil {
		return Process{}, err
	}
	args, err := syscall.SlicePtrFromStrings(c.Argv)
	if err != nil {
		return Process{}, err
	}
	env, err := syscall.SlicePtrFromStrings(c.Env)
	if err != nil {
		return Process{}, err
	}
	began := time.Now()
	pid := int(vforkExec(uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&env[0])), uintptr(c.Stderr)))
	if pid < 0 {
		return Process{}, syscall.Errno(-pid)
	}
	return Process{pid, began}, nil
}

func wait(pid int) (syscall.WaitStatus, *syscall.Rusage, error) {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	for {
		_, _, errno := syscall.RawSyscall6(syscall.SYS_WAIT4, uintptr(pid), uintptr(unsafe.Pointer(&status)), 0, uintptr(unsafe.Pointer(&usage)), 0, 0)
		if errno == 0 {
			return status, &usage, nil
		}
		if errno != syscall.EINTR {
			return 0, nil, errno
		}
	}
}
