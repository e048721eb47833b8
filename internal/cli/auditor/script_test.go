package auditor_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hardstand/hardstand/audit/scan/reach/govulncheck"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/auditor"
	"github.com/hardstand/hardstand/internal/cli/builder"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hardstand": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		f := cli.System("test")
		f.Now = func() time.Time { return clock }
		os.Exit(cli.Run(ctx, f, auditor.New(f, auditor.Companions{Compose: composefile.Read, Reach: govulncheck.Analyse}), os.Args[1:])) //nolint:gocritic // the process ends here
	}, "hardstand-sign": func() { // the companion that verifies signatures
		f := cli.System("test")
		os.Exit(cli.Run(context.Background(), f, builder.New(f), os.Args[1:]))
	}})
}

// clock is what time it is in every script.
var clock = debtest.Epoch.Add(time.Hour)

// TestScripts runs the commands as a person would. Each script says in its
// first lines what it shows.
func TestScripts(t *testing.T) {
	world := newWorld(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			server := httptest.NewServer(registry.New(registry.Logger(discard)))
			e.Defer(server.Close)
			mirror := httptest.NewServer(http.FileServer(http.Dir(e.WorkDir)))
			e.Defer(mirror.Close)
			e.Setenv("REGISTRY", server.Listener.Addr().String())
			e.Setenv("WEB", mirror.URL)
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a program with the race detector sleeps for a second when it ends
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("DOCKER_CONFIG", filepath.Join(e.WorkDir, "home"))
			return world.lay(t, e.WorkDir, server.Listener.Addr().String())
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and insists on its exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%v exits with %d, want %s", args[1:], code, args[0])
	}
}
