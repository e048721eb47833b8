package builder_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hardstand/hardstand/build/debtest"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/builder"
	"github.com/hardstand/hardstand/sign/kmstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hardstand": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		f := cli.System("test")
		f.Now = func() time.Time { return debtest.Epoch.Add(time.Hour) }
		os.Exit(cli.Run(ctx, f, builder.New(f), os.Args[1:])) //nolint:gocritic // the process ends here
	}, kmstest.Program: func() {
		if err := kmstest.Main(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}})
}

// TestScripts runs the commands as a person would, against a signed archive
// in a directory. Each script says in its first lines what it shows.
func TestScripts(t *testing.T) {
	archive := debtest.NewArchive(t,
		debtest.Suite{Name: "trixie", Packages: []debtest.Package{
			{Name: "hello", Architecture: "all", Files: map[string]string{"usr/share/hello": "hello"}},
			{Name: "needy", Architecture: "all", Fields: "Depends: libmissing3 (>= 3.0)"},
			{Name: "chatty", Architecture: "all", Files: map[string]string{"usr/share/chatty": "x"}, Scripts: map[string]string{"postinst": "#!/bin/sh"}},
		}},
		debtest.Suite{Name: "trixie-updates"}, debtest.Suite{Name: "trixie-security"})
	updated := debtest.NewArchive(t)
	updated.Key = archive.Key
	updated.Add(t, debtest.Suite{Name: "trixie", Date: debtest.Epoch.Add(time.Minute), Packages: []debtest.Package{
		{Name: "hello", Version: "1.1", Architecture: "all", Files: map[string]string{"usr/share/hello": "hello again"}},
		{Name: "chatty", Architecture: "all", Files: map[string]string{"usr/share/chatty": "x"}}}})
	updated.Add(t, debtest.Suite{Name: "trixie-updates", Date: debtest.Epoch.Add(time.Minute)})
	updated.Add(t, debtest.Suite{Name: "trixie-security", Date: debtest.Epoch.Add(time.Minute)})

	secured, expired := debtest.NewArchive(t), debtest.NewArchive(t)
	for each, until := range map[*debtest.Archive]time.Time{secured: {}, expired: debtest.Epoch.Add(30 * time.Minute)} {
		each.Key = archive.Key
		each.Add(t, debtest.Suite{Name: "trixie-security", Date: debtest.Epoch.Add(20 * time.Minute), ValidUntil: until, Packages: []debtest.Package{
			{Name: "hello", Version: "1.0+deb13u1", Architecture: "all", Files: map[string]string{"usr/share/hello": "hello, fixed"}}}})
	}

	agent := debtest.Package{Name: "agent", Version: "2.0", Architecture: "all", Fields: "Depends: hello", Files: map[string]string{"opt/agent": "agent"}}.Build(t)

	program := filepath.Join(t.TempDir(), "program")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "../../../e2e/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			archive.WriteTo(t, filepath.Join(e.WorkDir, "mirror"))
			updated.WriteTo(t, filepath.Join(e.WorkDir, "updated"))
			secured.WriteTo(t, filepath.Join(e.WorkDir, "secured"))
			expired.WriteTo(t, filepath.Join(e.WorkDir, "expired"))
			if err := os.WriteFile(filepath.Join(e.WorkDir, "archive.asc"), archive.Key.Public(t), 0o644); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(e.WorkDir, "agent.deb"), agent, 0o644); err != nil {
				return err
			}
			port, err := freePort()
			if err != nil {
				return err
			}
			e.Setenv("GORACE", "atexit_sleep_ms=10") // a program with the race detector sleeps for a second when it ends
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("PROGRAM", program)
			e.Setenv("PORT", fmt.Sprint(port))
			e.Setenv("HARDSTAND_MIRROR", filepath.Join(e.WorkDir, "mirror", "debian"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "payload" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return payloadtest.Present() || os.Getenv(payloadtest.Needed) != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitport": waitPort, "exits": exits, "child": child, "unsigned": unsigned, "localdeb": localDeb, "onlayout": onLayout, "keyless": keyless},
	})
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // only the number matters
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitPort waits until something listens on a loopback port.
func waitPort(ts *testscript.TestScript, _ bool, args []string) {
	for range 200 {
		if c, err := net.Dial("tcp", "127.0.0.1:"+args[0]); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("nothing listens on port %s", args[0])
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
