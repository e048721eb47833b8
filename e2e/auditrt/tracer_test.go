//go:build e2e

package auditrt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/e2e/canary/stage"
)

// TestTracedInTheContainer trains inside the hardened container, with the
// tracer as its entry point and without the kernel's log, and runs the image
// under what comes of it.
func TestTracedInTheContainer(t *testing.T) {
	bin, err := filepath.Abs(os.Getenv("HARDSTAND_BIN"))
	if err != nil || os.Getenv("HARDSTAND_BIN") == "" {
		t.Skip("HARDSTAND_BIN is not set: scripts/e2e builds the commands and sets it")
	}
	hardstand := filepath.Join(bin, "hardstand")
	docker, err := stage.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(docker.Stop)
	dir := t.TempDir()
	app, archive, traces := filepath.Join(dir, "app"), filepath.Join(dir, "app.tar"), filepath.Join(dir, "traces")
	run(t, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-o", app, "../hello")
	run(t, os.Environ(), hardstand, "wrap", app, "-o", "docker-archive:"+archive)
	loaded := run(t, docker.Env(), "docker", "load", "-q", "-i", archive)
	id := strings.TrimSpace(loaded[strings.Index(loaded, ": ")+2:])
	if err := os.Mkdir(traces, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(traces, 0o1777); err != nil { // the container's user writes here, whatever the umask
		t.Fatal(err)
	}
	run(t, docker.Env(), "docker", "run", "-d", "--name", "training", "--network", "none", "--read-only", "--cap-drop=ALL",
		"--security-opt", "no-new-privileges", "--user", "65532:65532", "--no-healthcheck",
		"-v", filepath.Join(bin, "hardstand-audit")+":/.trace:ro", "-v", traces+":/traces", "--entrypoint", "/.trace", id,
		"runtime", "trace", "--output", "/traces/app", "--check", "/bin/probe", "--", "/usr/local/bin/app")
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", "training").Run() // the engine ends anyway
	})
	trace := filepath.Join(traces, "app")
	// connect is the probe's alone, and accept4 the application's answer to it.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		data, err := os.ReadFile(trace)
		if err == nil && strings.Contains(string(data), "connect()\n") && strings.Contains(string(data), "accept4()\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the health check is not in the trace: %v\n%s", err, data)
		}
	}
	run(t, docker.Env(), "docker", "stop", "-t", "10", "training")
	if code := strings.TrimSpace(run(t, docker.Env(), "docker", "inspect", "-f", "{{.State.ExitCode}}", "training")); code != "0" {
		t.Errorf("the traced program ended with %s", code)
	}
	profile := filepath.Join(dir, "seccomp.json")
	if err := os.WriteFile(profile, []byte(run(t, os.Environ(), hardstand, "runtime", "seccomp", "--trace", trace)), 0o644); err != nil {
		t.Fatal(err)
	}
	healthy(t, docker, hardstand, archive, id, "trained", "--seccomp", profile)
}
