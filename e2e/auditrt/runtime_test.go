//go:build e2e

// Package auditrt starts what hardstand runtime writes in a Docker engine.
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

// run runs a program and returns what it printed on standard output.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return string(out)
}

// TestWhatIsWrittenRuns wraps an application, asks how to run it, runs it that
// way, traces it under the seccomp profile of the training, and runs it again
// under the profile that comes of the trace.
func TestWhatIsWrittenRuns(t *testing.T) {
	bin := os.Getenv("HARDSTAND_BIN")
	if bin == "" {
		t.Skip("HARDSTAND_BIN is not set: scripts/e2e builds the commands and sets it")
	}
	hardstand := filepath.Join(bin, "hardstand")
	docker, err := stage.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(docker.Stop)
	dir := t.TempDir()
	app := filepath.Join(dir, "app")
	run(t, append(os.Environ(), "CGO_ENABLED=0"), "go", "build", "-o", app, "../hello")
	archive := filepath.Join(dir, "app.tar")
	run(t, os.Environ(), hardstand, "wrap", app, "-o", "docker-archive:"+archive)
	loaded := run(t, docker.Env(), "docker", "load", "-q", "-i", archive)
	id := strings.TrimSpace(loaded[strings.Index(loaded, ": ")+2:])

	healthy(t, docker, hardstand, archive, id, "hardened")

	trace, asked := filepath.Join(dir, "trace"), filepath.Join(dir, "asked")
	const port = "18473"
	served := exec.CommandContext(t.Context(), "strace", "-f", "-o", trace, "timeout", "--preserve-status", "4", app)
	served.Env = append(os.Environ(), "PORT="+port)
	if err := served.Start(); err != nil {
		t.Fatal(err)
	}
	run(t, os.Environ(), "strace", "-f", "-o", asked, filepath.Join(bin, "probe"), port, "--wait", "3s")
	_ = served.Wait() // timeout ends it
	profile := filepath.Join(dir, "seccomp.json")
	if err := os.WriteFile(profile, []byte(run(t, os.Environ(), hardstand, "runtime", "seccomp", "--trace", trace, "--trace", asked)), 0o644); err != nil {
		t.Fatal(err)
	}
	healthy(t, docker, hardstand, archive, id, "traced", "--seccomp", profile)
}

// healthy runs the command that is written for an image. A local engine has no
// digest of a repository, so the image's own id stands in its place; there is
// no network to publish ports in.
func healthy(t *testing.T, docker *stage.Docker, hardstand, archive, id, name string, flags ...string) {
	t.Helper()
	args := append([]string{"runtime", "docker", "docker-archive:" + archive, "--repository", "local.example/app", "--name", name, "--tmpfs", "/tmp"}, flags...)
	line := run(t, os.Environ(), hardstand, args...)
	words := strings.Fields(strings.ReplaceAll(line, "\\\n", " "))
	words[len(words)-1] = id
	var kept []string
	for i := 0; i < len(words); i++ {
		if words[i] == "--publish" {
			i++
			continue
		}
		kept = append(kept, words[i])
	}
	kept = append(kept[:len(kept)-1], "--network", "none", "--health-interval", "2s", id) // the image asks every 30 s
	run(t, docker.Env(), "docker", kept[1:]...)
	t.Cleanup(func() {
		_ = exec.Command("docker", "rm", "-f", name).Run() // the engine ends anyway
	})
	state := ""
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if state = strings.TrimSpace(run(t, docker.Env(), "docker", "inspect", "-f", "{{.State.Health.Status}}", name)); state == "healthy" {
			break
		}
	}
	if state != "healthy" {
		t.Fatalf("%s is %s: %s", name, state, run(t, docker.Env(), "docker", "inspect", name))
	}
	inspected := filepath.Join(t.TempDir(), "inspect.json")
	if err := os.WriteFile(inspected, []byte(run(t, docker.Env(), "docker", "inspect", name)), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, os.Environ(), hardstand, "audit", "--no-config", "--kind", "docker", inspected)
}
