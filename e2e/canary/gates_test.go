//go:build e2e

package canary

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
)

// TestFall measures from the decoy's own clock to the engine's note of the end.
func TestFall(t *testing.T) {
	const limit = 200 * time.Millisecond
	for name, pid1 := range pidOnes(t) {
		if name != "Go" && name != "tini" && name != "guard" {
			continue // an idle PID 1 without a handler survives; see the matrix
		}
		t.Run(name, func(t *testing.T) {
			o := decoy.Options{OnTrip: alert.TripFall, BuildID: "fall"}
			if name == "guard" {
				o.Guard = &decoy.Guard{Binary: guard}
			}
			c := startAs(t, o, pid1.files, pid1.entrypoint, "--network=none")
			time.Sleep(300 * time.Millisecond)
			c.exec(c.id, "id")
			time.Sleep(500 * time.Millisecond)
			text, err := docker.Run(t.Context(), "inspect", "-f", "{{.State.Running}} {{.State.FinishedAt}}", c.id)
			if err != nil {
				t.Fatal(err)
			}
			running, at, _ := strings.Cut(text, " ")
			ended, err := time.Parse(time.RFC3339Nano, at)
			events := c.alarms()
			if err != nil || running != "false" || len(events) == 0 {
				t.Fatalf("running %s, %v, alarms %+v", running, err, events)
			}
			took := ended.Sub(events[0].At())
			t.Logf("%v from trip to end", took)
			if took > limit {
				t.Errorf("PID 1 ended after %v, the limit is %v", took, limit)
			}
		})
	}
}

// TestUnhealthy: trip to Docker's unhealthy within the interval and 100 ms.
func TestUnhealthy(t *testing.T) {
	const limit = 1100 * time.Millisecond
	c := start(t, decoy.Options{BuildID: "ill"}, goApp(), "--network=none")
	c.waitHealth("healthy", 15*time.Second)
	c.exec(c.id, "uname")
	c.waitHealth("unhealthy", 5*time.Second)
	text, err := docker.Run(t.Context(), "inspect", "-f", "{{(index .State.Health.Log 0).Start.UnixMicro}} {{range .State.Health.Log}}{{if ne .ExitCode 0}}{{.End.UnixMicro}} {{end}}{{end}}", c.id)
	if err != nil {
		t.Fatal(err)
	}
	var end int64
	for _, digit := range strings.Fields(text)[1] {
		end = 10*end + int64(digit-'0')
	}
	took := time.UnixMicro(end).Sub(c.alarms()[0].At())
	t.Logf("unhealthy %v after the trip", took)
	if took > limit {
		t.Errorf("unhealthy after %v, the limit is %v", took, limit)
	}
}

func TestKeysCannotBeRead(t *testing.T) {
	t.Parallel()
	g := decoy.Guard{Binary: guard}
	for name, o := range map[string]decoy.Options{"decoys": {BuildID: "key"}, "guard": {BuildID: "key", Guard: &g}} {
		t.Run(name, func(t *testing.T) {
			files := []decoy.File{goApp(), {Path: "/intruder", Mode: 0o755, Content: intruder}}
			entrypoint, targets := `ENTRYPOINT ["/app"]`, []string{"/usr/bin/sh", decoy.FullDir + "/sh"}
			if o.Guard != nil {
				entrypoint, targets = `ENTRYPOINT ["/usr/bin/tini", "/app"]`, append(targets, "/usr/bin/tini")
			}
			c := startAs(t, o, files, entrypoint, "--network=none", "--tmpfs=/tmp:mode=1777,exec")
			time.Sleep(300 * time.Millisecond)
			out := c.exec(append([]string{c.id, "/intruder"}, targets...)...)
			t.Logf("%s%s", out.Stdout, out.Stderr)
			for line := range strings.Lines(out.Stdout) {
				if strings.HasPrefix(line, "LEAK") && (o.Guard != nil || !strings.Contains(line, "PID 1")) {
					t.Error(line) // an application's own memory is its own affair
				}
			}
			if out.Code != 0 || strings.Count(out.Stdout, "\n") < 25 {
				t.Errorf("exit %d: not every way was tried", out.Code)
			}
		})
	}
}

func TestFloodStaysSmall(t *testing.T) {
	t.Parallel()
	c := start(t, decoy.Options{BuildID: "flood"}, goApp(), "--network=none")
	c.waitHealth("healthy", 15*time.Second)
	c.exec(c.id, "/app", "loop", "10000", "/usr/bin/ls")
	log, err := docker.Logs(t.Context(), c.id)
	if err != nil {
		t.Fatal(err)
	}
	n := len(c.alarms())
	t.Logf("10000 executions: %d lines, %d bytes", n, len(log))
	if n < 8 || n > 60 || len(log) > 128<<10 {
		t.Errorf("%d lines and %d bytes in the log", n, len(log))
	}
}

// TestNothingTripsByItself is a soak of CANARY_SOAK (20s by default).
func TestNothingTripsByItself(t *testing.T) {
	t.Parallel()
	soak := 20 * time.Second
	if text := os.Getenv("CANARY_SOAK"); text != "" {
		var err error
		if soak, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	g := decoy.Guard{Allowed: []string{"/app"}}
	c := startGuarded(t, g, "--network=none")
	for began := time.Now(); time.Since(began) < soak; {
		for _, args := range [][]string{{"inspect", c.id}, {"top", c.id}, {"stats", "--no-stream", c.id}, {"logs", c.id}, {"diff", c.id}} {
			if out, err := docker.Try(t.Context(), nil, args...); err != nil || out.Code != 0 {
				t.Fatalf("docker %v: %v %s", args, err, out.Stderr)
			}
		}
	}
	if events := c.alarms(); len(events) != 0 {
		t.Errorf("%+v", events)
	}
	c.waitHealth("healthy", time.Second)
}
