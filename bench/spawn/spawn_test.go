package spawn_test

import (
	"os"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/bench/spawn"
)

func TestStart(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // read only through its name
	process, err := spawn.Start(spawn.Command{Argv: []string{"/bin/sh", "-c", "echo $A >&2; exit 7"}, Env: []string{"A=b"}, Stderr: int(file.Fd())})
	if err != nil {
		t.Fatal(err)
	}
	status, usage, err := process.Wait()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(text)); got != "b" || status.ExitStatus() != 7 || usage.Maxrss == 0 {
		t.Errorf("standard error %q, exit %d, %d kB", got, status.ExitStatus(), usage.Maxrss)
	}
}

func TestStartNothing(t *testing.T) {
	process, err := spawn.Start(spawn.Command{Argv: []string{"/no/such/program"}, Env: []string{"A=b"}, Stderr: 2})
	if err != nil {
		return // the standard library says it at once
	}
	if status, _, err := process.Wait(); err != nil || status.ExitStatus() != 127 {
		t.Errorf("a program that is not there: exit %d, %v", status.ExitStatus(), err)
	}
}
