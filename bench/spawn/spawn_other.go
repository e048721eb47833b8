//go:build !linux || !amd64

package spawn

import (
	"os"
	"syscall"
	"time"
)

// Start forks and executes by the standard library.
func Start(c Command) (Process, error) {
	began := time.Now()
	pid, err := syscall.ForkExec(c.Argv[0], c.Argv, &syscall.ProcAttr{Env: c.Env,
		Files: []uintptr{os.Stdin.Fd(), os.Stdout.Fd(), uintptr(c.Stderr)}})
	return Process{pid, began}, err
}

func wait(pid int) (syscall.WaitStatus, *syscall.Rusage, error) {
	var status syscall.WaitStatus
	var usage syscall.Rusage
	_, err := syscall.Wait4(pid, &status, 0, &usage)
	return status, &usage, err
}
