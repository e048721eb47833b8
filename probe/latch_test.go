package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

// asPID1 makes the test binary be the first process of a PID namespace: it sets
// its own limit as a decoy would and runs the probe.
const asPID1 = "PROBE_TEST_PID1"

// TestLatch trips the latch of a PID namespace's first process, never of this
// machine's.
func TestLatch(t *testing.T) {
	if !hasFastPath() {
		t.Skip("needs prlimit as the fast path has it")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, to make a PID namespace")
	}
	now := time.Now().UTC()
	stamp := now.Format("2006-01-02T15:04Z")
	const unlimited = ^uint64(0)
	tests := []struct {
		name       string
		soft, hard uint64
		want       string
	}{
		{"not-tripped", unlimited, unlimited, "healthy"},
		{"tripped", alert.Mark("sh", now), alert.Mark("sh", now), "canary tripped: decoy sh at " + stamp},
		{"longest-name", alert.Mark("kubectl9", now), alert.Mark("kubectl9", now), "decoy kubectl9 at " + stamp},
		{"dashes", alert.Mark("a-b", now), alert.Mark("a-b", now), "decoy a-b at "},
		{"no-mark", 5, 5, "canary latch set by unknown hand (RLIMIT_RTTIME=5:5)"},
		{"zero", 0, 0, "canary latch set by unknown hand (RLIMIT_RTTIME=0:0)"},
		{"soft-only", 5, unlimited, "unknown hand (RLIMIT_RTTIME=5:unlimited)"},
		{"unequal", alert.Mark("sh", now), alert.Mark("sh", now) + 1, "unknown hand"},
	}
	for _, tt := range tests {
		for _, binary := range []string{fastBinary, ordinaryBinary} {
			out, code := inNamespace(t, binary, tt.soft, tt.hard)
			wantCode := 1
			if tt.want == "healthy" {
				wantCode = 0
			}
			if code != wantCode || !strings.Contains(out, tt.want) {
				t.Errorf("%s: exit code %d, %s; want %s", tt.name, code, out, tt.want)
			}
		}
	}
}

func inNamespace(t *testing.T, binary string, soft, hard uint64) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", asPID1, binary, soft, hard))
	newNamespace(cmd)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("start in a PID namespace: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// beInit runs in the namespace and returns the probe's exit code.
func beInit() int {
	fields := strings.Fields(os.Getenv(asPID1))
	soft, _ := strconv.ParseUint(fields[1], 10, 64)
	hard, _ := strconv.ParseUint(fields[2], 10, 64)
	if os.Getpid() != 1 {
		fmt.Println("not the first process of a namespace")
		return 99
	}
	if err := setLatch(soft, hard); err != nil {
		fmt.Println(err)
		return 98
	}
	cmd := exec.Command(fields[0], "file:///dev/../etc/passwd")
	cmd.Env = []string{}
	out, _ := cmd.CombinedOutput()
	os.Stdout.Write(out)
	return cmd.ProcessState.ExitCode()
}
