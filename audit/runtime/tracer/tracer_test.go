//go:build linux && (amd64 || arm64)

package tracer_test

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hardstand/hardstand/audit/runtime/tracer"
	"github.com/hardstand/hardstand/internal/deptest"
)

// TestMain is also the program that is traced.
func TestMain(m *testing.M) {
	switch os.Getenv("TRACED") {
	case "parent": // what a child calls counts too
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = []string{"TRACED=child"}
		if err := cmd.Run(); err != nil {
			os.Exit(1)
		}
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() { time.Sleep(time.Millisecond) })
		}
		wait.Wait()
		os.Exit(7)
	case "child":
		_, _ = unix.Getpriority(unix.PRIO_PROCESS, 0)
		os.Exit(0)
	case "server":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		_, _ = unix.Getsid(0)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func trace(t *testing.T, ctx context.Context, what string, check ...string) (int, []int) {
	t.Helper()
	t.Setenv("TRACED", what)
	var seen []int
	code, err := tracer.Run(ctx, tracer.Options{
		Program: []string{"/proc/self/exe"}, Check: check, Interval: 100 * time.Millisecond,
		Changed: func(numbers []int) error { seen = numbers; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return code, seen
}

func TestChildrenAndExitCode(t *testing.T) {
	code, seen := trace(t, t.Context(), "parent")
	if code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
	for name, n := range map[string]int{"execve": unix.SYS_EXECVE, "exit_group": unix.SYS_EXIT_GROUP, "clone": unix.SYS_CLONE, "getpriority of the child": unix.SYS_GETPRIORITY} {
		if !slices.Contains(seen, n) {
			t.Errorf("%s is not in the trace", name)
		}
	}
	if slices.Contains(seen, unix.SYS_REBOOT) || !slices.IsSorted(seen) {
		t.Error(seen)
	}
}

func TestStopAndCheck(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	code, seen := trace(t, ctx, "server", "/bin/sh", "-c", "umask 077")
	if code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	if !slices.Contains(seen, unix.SYS_GETSID) {
		t.Error("what is called after the signal is missing")
	}
	if !slices.Contains(seen, unix.SYS_UMASK) {
		t.Error("what the health check calls is missing")
	}
}

func TestMissingProgram(t *testing.T) {
	_, err := tracer.Run(t.Context(), tracer.Options{Program: []string{"/no/such/program"}, Changed: func([]int) error { return nil }})
	if err == nil {
		t.Error("a program that is not there runs")
	}
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{"golang.org/x/sys/unix": "ptrace"})
}
