//go:build e2e

package canary

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
)

func startGuarded(t *testing.T, g decoy.Guard, runArgs ...string) container {
	t.Helper()
	g.Binary = guard
	c := startAs(t, decoy.Options{BuildID: "guarded", Guard: &g}, []decoy.File{goApp(), {Path: "/tool", Mode: 0o755, Content: pidOne}, {Path: "/etc/secret", Mode: 0o644, Content: []byte("x")}},
		`ENTRYPOINT ["/usr/bin/tini", "/app"]`, runArgs...)
	c.waitHealth("healthy", 15*time.Second)
	return c
}

// kinds counts the guard's alarms by kind and the decoys' by name.
func (c container) kinds() map[string]int {
	time.Sleep(100 * time.Millisecond) // the log driver's delay
	n := map[string]int{}
	for _, e := range c.alarms() {
		if e.Decoy == alert.Guard {
			n[e.Kind]++
		} else {
			n[e.Decoy]++
		}
	}
	return n
}

func TestGuardReportsWhatTheApplicationExecutes(t *testing.T) {
	t.Parallel()
	c := startGuarded(t, decoy.Guard{Allowed: []string{"/app"}}, "--network=none")
	c.exec(c.id, "/app", "get", "/exec?a=/app&a=read&a=/etc/secret") // on the list
	if n := c.kinds(); len(n) != 0 {
		t.Errorf("an allowed program raised %v", n)
	}
	out := c.exec(c.id, "/app", "get", "/exec?a=/tool&a=read&a=/etc/secret")
	if !strings.HasPrefix(out.Stdout, "x") {
		t.Errorf("the uploaded tool did not run: %+v", out)
	}
	events := c.alarms()
	if len(events) != 1 || events[0].Kind != alert.KindExec || events[0].Path != "/tool" || strings.Join(events[0].Argv, " ") != "/tool read /etc/secret" || events[0].Latch != alert.LatchSet {
		t.Errorf("%+v", events)
	}
	c.waitHealth("unhealthy", 10*time.Second)
}

func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	c := startGuarded(t, decoy.Guard{Deny: true}, "--network=none")
	out := c.exec(c.id, "/app", "get", "/exec?a=/tool&a=read&a=/etc/secret")
	if strings.HasPrefix(out.Stdout, "x") || !strings.Contains(out.Stdout, "permission denied") {
		t.Errorf("the tool ran: %+v", out)
	}
	if n := c.kinds(); n[alert.KindDenied] != 1 {
		t.Errorf("alarms %v", n)
	}
}

func TestGuardRelaysForOtherUsers(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"65532:65532", "0", "1000"} {
		c := startGuarded(t, decoy.Guard{}, "--network=none")
		c.exec("-u", user, c.id, "whoami")
		n := c.kinds()
		if n["whoami"] == 0 {
			t.Errorf("user %s: alarms %v", user, n)
		}
		t.Logf("user %s: %v", user, n)
		c.waitHealth("unhealthy", 10*time.Second)
	}
}

func TestGuardNamesWhoReads(t *testing.T) {
	t.Parallel()
	c := startGuarded(t, decoy.Guard{
		Watched: []string{"/etc/secret"},
		Pipes:   []decoy.Pipe{{Path: "/home/nonroot/.aws/credentials", Content: []byte("[default]\n")}},
	}, "--network=none")
	if out := c.exec(c.id, "/app", "read", "/home/nonroot/.aws/credentials"); out.Stdout != "[default]\n" {
		t.Errorf("the reader got %+v", out)
	}
	c.exec("-u", "0", c.id, "/app", "read", "/etc/secret")
	time.Sleep(100 * time.Millisecond)
	var pipe, file bool
	for _, e := range c.alarms() {
		pipe = pipe || e.Kind == alert.KindPipe && e.PID > 1 && len(e.Ancestors) > 0 && strings.Contains(strings.Join(e.Ancestors[0].Argv, " "), "read /home")
		file = file || e.Kind == alert.KindRead && e.Path == "/etc/secret"
	}
	if !pipe || !file {
		t.Errorf("pipe %v, file %v: %+v", pipe, file, c.alarms())
	}
}

func TestGuardIsAGoodInit(t *testing.T) {
	c := startGuarded(t, decoy.Guard{}, "--network=none")
	began := time.Now()
	if _, err := docker.Run(t.Context(), "stop", "-t", "8", c.id); err != nil {
		t.Fatal(err)
	}
	code, err := docker.Run(context.Background(), "inspect", "-f", "{{.State.ExitCode}}", c.id)
	if err != nil || code != "2" && code != "143" || time.Since(began) > 5*time.Second {
		t.Errorf("stopped after %v with code %s, %v", time.Since(began), code, err)
	}
}

// TestGuardFlood has the application execute in a loop.
func TestGuardFlood(t *testing.T) {
	c := startGuarded(t, decoy.Guard{}, "--network=none")
	for range 60 {
		c.exec(c.id, "/app", "get", "/exec?a=/tool&a=read&a=/etc/secret")
	}
	if n := c.kinds()[alert.KindExec]; n < 10 || n > 40 {
		t.Errorf("%d lines for 60 executions", n)
	}
}
