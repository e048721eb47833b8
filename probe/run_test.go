package main

import (
	"os"
	"os/exec"
	"testing"
)

// outcome of a run of the probe.
type outcome struct {
	code int
	text string
}

// runProbe runs a binary with the environment and arguments.
func runProbe(t *testing.T, binary string, env []string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("run %s: %v", binary, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), string(out)}
}
