//go:build linux && (amd64 || arm64)

package tracer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE |
	unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL

// run traces one program and what it starts. Only the thread that started a
// program may trace it, so it keeps the thread.
func (c *calls) run(ctx context.Context, argv []string, quiet bool) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec // it is what the caller wants to run
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if quiet {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, nil, nil
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("trace %s: %w", argv[0], err)
	}
	pid := cmd.Process.Pid
	done := context.AfterFunc(ctx, func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // it may have ended already
	defer done()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil {
		return 0, fmt.Errorf("trace %s: %w", argv[0], err)
	}
	c.note(unix.SYS_EXECVE)
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return 0, fmt.Errorf("trace %s: %w", argv[0], err)
	}
	if err := syscall.PtraceSyscall(pid, 0); err != nil {
		return 0, fmt.Errorf("trace %s: %w", argv[0], err)
	}
	return c.follow(pid)
}

// follow lets the traced threads go on from each stop until the first one has
// ended.
func (c *calls) follow(first int) (int, error) {
	started := map[int]bool{first: true}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait for the traced program: %w", err)
		case pid == first && status.Exited():
			return status.ExitStatus(), nil
		case pid == first && status.Signaled():
			return 128 + int(status.Signal()), nil
		case !status.Stopped():
			delete(started, pid)
			continue
		}
		signal := 0
		switch sig := status.StopSignal(); {
		case sig == syscall.SIGTRAP|0x80:
			if err := c.stopped(pid); err != nil {
				return 0, err
			}
		case sig == syscall.SIGTRAP && status.TrapCause() > 0: // a fork or an exec
		case sig == syscall.SIGSTOP && !started[pid]: // how a new thread begins
		default:
			signal = int(sig)
		}
		started[pid] = true
		if err := syscall.PtraceSyscall(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("go on with the traced program: %w", err)
		}
	}
}

// stopped notes the call that a thread enters or leaves.
func (c *calls) stopped(pid int) error {
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(pid, &regs); errors.Is(err, syscall.ESRCH) {
		return nil // killed meanwhile
	} else if err != nil {
		return fmt.Errorf("read registers of the traced program: %w", err)
	}
	n, err := number(&regs)
	if err != nil {
		return err
	}
	c.note(n)
	return nil
}
