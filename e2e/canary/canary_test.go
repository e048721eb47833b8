//go:build e2e

// Package canary tries decoys in real containers.
package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/decoy"
	"github.com/hardstand/hardstand/e2e/canary/stage"
)

var (
	docker    *stage.Docker
	multicall []byte
	probe     []byte
	pidOne    []byte
	guard     []byte
	intruder  []byte
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx := context.Background()
	var err error
	for _, program := range []struct {
		to    *[]byte
		pkg   string
		flags []string
	}{
		{&multicall, stage.Multicall, nil},
		{&probe, "github.com/hardstand/hardstand/probe", nil},
		{&guard, "github.com/hardstand/hardstand/canary/guard", nil},
		{&intruder, "github.com/hardstand/hardstand/e2e/canary/stage/intruder", nil},
		{&pidOne, "github.com/hardstand/hardstand/e2e/canary/stage/pidone", nil},
	} {
		if *program.to, err = stage.GoBuild(ctx, program.pkg, "amd64", program.flags...); err != nil {
			return 1, err
		}
	}
	if docker, err = stage.Start(ctx); err != nil {
		return 1, err
	}
	defer docker.Stop()
	return m.Run(), nil
}

// container is a running image with decoys.
type container struct {
	t      *testing.T
	id     string
	master alert.Master
}

func start(t *testing.T, o decoy.Options, app decoy.File, runArgs ...string) container {
	t.Helper()
	return startAs(t, o, []decoy.File{app}, `ENTRYPOINT ["`+app.Path+`"]`, runArgs...)
}

// startAs runs an image of the decoys, a probe and other files.
func startAs(t *testing.T, o decoy.Options, extra []decoy.File, entrypoint string, runArgs ...string) container {
	t.Helper()
	return startDumpable(t, o, extra, entrypoint, false, runArgs...)
}

// startDumpable makes the guard readable where that is asked for.
func startDumpable(t *testing.T, o decoy.Options, extra []decoy.File, entrypoint string, dumpable bool, runArgs ...string) container {
	t.Helper()
	if o.Master = alert.NewMaster(); o.Binary == nil {
		o.Binary, o.Arch = multicall, "amd64"
	}
	if o.BuildID == "" {
		o.BuildID = strings.ToLower(t.Name()[4:8])
	}
	result, err := decoy.Emit(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range result.Files {
		if dumpable && o.Guard != nil && result.Files[i].Path == result.Register.Guard.Path {
			result.Files[i].Mode = 0o755
		}
	}
	tag := "canary-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	files := append(append(result.Files, extra...), decoy.File{Path: "/usr/bin/probe", Mode: 0o755, Content: probe})
	err = docker.Import(t.Context(), tag, files, entrypoint,
		`HEALTHCHECK --interval=1s --retries=1 CMD ["/usr/bin/probe", "http://127.0.0.1:8080/"]`)
	if err != nil {
		t.Fatal(err)
	}
	id, err := docker.Run(t.Context(), append(stage.Hardened(runArgs...), tag)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, _ = docker.Run(ctx, "rm", "-f", id) // nothing depends on it
		_, _ = docker.Run(ctx, "rmi", "-f", tag)
	})
	return container{t: t, id: id, master: o.Master}
}

func (c container) exec(args ...string) stage.Output {
	c.t.Helper()
	out, err := docker.Try(c.t.Context(), nil, append([]string{"exec"}, args...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// alarms returns the verified alarms of the log; a forged one fails the test.
func (c container) alarms() []alert.Event {
	c.t.Helper()
	log, err := docker.Logs(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	var events []alert.Event
	r := alert.NewReader(strings.NewReader(log), c.master)
	for {
		alarm, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil || alarm.Verdict == alert.Forged {
			c.t.Fatalf("%v %v in log:\n%s", err, alarm.Err, log)
		}
		if alarm.Verdict == alert.Verified {
			events = append(events, alarm.Event)
		}
	}
}

func (c container) health() string {
	c.t.Helper()
	text, err := docker.Run(c.t.Context(), "inspect", "-f", "{{json .State.Health}}", c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	var health struct {
		Status string
		Log    []struct{ Output string }
	}
	if err := json.Unmarshal([]byte(text), &health); err != nil {
		c.t.Fatal(err)
	}
	if n := len(health.Log); n > 0 {
		return health.Status + ": " + health.Log[n-1].Output
	}
	return health.Status
}

func (c container) waitHealth(want string, limit time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if status, _, _ := strings.Cut(c.health(), ":"); status == want {
			return time.Since(began)
		}
		time.Sleep(20 * time.Millisecond)
	}
	log, _ := docker.Logs(c.t.Context(), c.id) // for the message
	c.t.Fatalf("not %s after %v but %s; log:\n%s", want, limit, c.health(), log)
	return 0
}

func goApp() decoy.File { return decoy.File{Path: "/app", Mode: 0o755, Content: pidOne} }

// TestTrip runs each tier, and where the kernel emulates it, the other
// architecture's.
func TestTrip(t *testing.T) {
	t.Parallel()
	for tier, want := range map[string]int{decoy.TierA: 1, decoy.TierB: 1, decoy.TierBoth: 2} {
		t.Run("tier-"+tier, func(t *testing.T) {
			c := start(t, decoy.Options{Tier: tier, BuildID: "trip"}, goApp(), "--network=none")
			c.waitHealth("healthy", 15*time.Second)
			out := c.exec(c.id, "ls")
			if want := "ls: cannot open directory '.': Permission denied\n"; out.Code != 2 || out.Stderr != want {
				t.Errorf("ls: exit %d, %q", out.Code, out.Stderr)
			}
			took := c.waitHealth("unhealthy", 10*time.Second)
			t.Logf("unhealthy after %v: %s", took, c.health())
			if health := c.health(); !strings.Contains(health, "ls") {
				t.Errorf("the probe does not name the decoy: %s", health)
			}
			events := c.alarms()
			if len(events) != want {
				t.Fatalf("%d alarms, want %d", len(events), want)
			}
			for i, e := range events {
				latch := alert.LatchSet
				if i > 0 {
					latch = alert.LatchAlready
				}
				if e.Decoy != "ls" || e.PPID != 0 || e.Latch != latch || e.UID != 65532 || e.GID != 65532 || e.Count != uint64(i+1) ||
					time.Since(e.At()).Abs() > time.Minute || e.PID != events[0].PID || e.PID < 2 {
					t.Errorf("alarm %d: %+v", i, e)
				}
			}
			full := events[len(events)-1]
			if tier != decoy.TierA && (!strings.HasSuffix(full.Path, "/ls") || full.Origin != alert.FromOutside ||
				strings.Join(full.Argv, " ") != "ls" || !strings.HasPrefix(full.Container, c.id[:12])) {
				t.Errorf("%+v", full)
			}
		})
	}
}

// TestArm64 runs the other architecture's decoys under Debian's
// qemu-user-static inside a container. The emulator has to read the program,
// so this container's user is root.
func TestArm64(t *testing.T) {
	t.Parallel()
	qemu, err := os.ReadFile("/usr/bin/qemu-aarch64-static")
	if err != nil {
		t.Skip("needs qemu-user-static")
	}
	binary, err := stage.GoBuild(t.Context(), stage.Multicall, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	c := startAs(t, decoy.Options{BuildID: "arm", Arch: "arm64", Binary: binary},
		[]decoy.File{goApp(), {Path: "/qemu", Mode: 0o755, Content: qemu}}, `ENTRYPOINT ["/app"]`, "--network=none", "--user=0", "--cap-add=DAC_OVERRIDE")
	time.Sleep(500 * time.Millisecond)
	fast, full := c.exec(c.id, "/qemu", "/usr/bin/ls"), c.exec(c.id, "/qemu", "/usr/libexec/coreutils/ls")
	if want := "ls: cannot open directory '.': Permission denied\n"; full.Code != 2 || full.Stderr != want {
		t.Errorf("tier B: exit %d, %q", full.Code, full.Stderr)
	}
	events := c.alarms()
	if len(events) != 2 || events[0].Latch != alert.LatchSet || events[1].Latch != alert.LatchAlready || events[1].Count != 2 {
		t.Errorf("tier A returned %+v; %d alarms: %+v", fast, len(events), events)
	}
}
