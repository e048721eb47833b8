//go:build e2e

// Package app_test runs a program with app/health and app/secret inside a
// hardened image: the probe looks at it from outside, by HTTP, gRPC, a unix
// socket and a file, and it drains when Docker stops it.
//
// It needs a Docker engine (DOCKER_HOST), root, nsenter and curl. The base image
// is the one that HARDSTAND_E2E_IMAGE names, else static as bin/hardstand
// composes it.
package app_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func run(t *testing.T, env []string, name string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(text.String()), cmd.ProcessState.ExitCode()
}

func must(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, code := run(t, env, name, args...)
	if code != 0 {
		t.Fatalf("%s %v: exit code %d\n%s", name, args, code, out)
	}
	return out
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, []string{"DOCKER_BUILDKIT=0"}, "docker", args...)
}

func await(t *testing.T, what string, limit time.Duration, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// base returns the name of the image to start from.
func base(t *testing.T) string {
	t.Helper()
	if name := os.Getenv("HARDSTAND_E2E_IMAGE"); name != "" {
		return name
	}
	bin := os.Getenv("HARDSTAND_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	const name = "hardstand/e2e-app-base:test"
	home := t.TempDir()
	must(t, []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME="}, filepath.Join(bin, "hardstand"), "build", "static", "-o", "docker:"+name)
	return name
}

const dockerfile = `FROM %s
COPY example /usr/local/bin/example
HEALTHCHECK --interval=1s --timeout=5s --retries=1 CMD ["/bin/probe", ":8080/readyz", "grpc://:9000", "grpc://:9000/example.Live"]
ENTRYPOINT ["/usr/local/bin/example"]
`

// image builds the example into an image.
func image(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, []string{"CGO_ENABLED=0"}, "../../app/in", "example", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "example"), ".")
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), fmt.Appendf(nil, dockerfile, base(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	docker(t, "build", "-q", "-t", "hardstand/e2e-app:test", dir)
	return "hardstand/e2e-app:test"
}

// container is a running example.
type container struct{ name, pid string }

func start(t *testing.T, image string, args ...string) *container {
	t.Helper()
	c := &container{name: fmt.Sprintf("hardstand-e2e-app-%d", time.Now().UnixNano())}
	args = append([]string{"run", "-d", "--name", c.name, "--network", "none", "--read-only", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges", "--tmpfs", "/run/app:uid=65532,mode=0700", "-e", "STATE_DIR=/run/app"}, args...)
	docker(t, append(args, image)...)
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := run(t, nil, "docker", "logs", c.name)
			t.Log(out)
		}
		docker(t, "rm", "-f", c.name)
	})
	c.pid = c.inspect(t, ".State.Pid")
	return c
}

func (c *container) inspect(t *testing.T, field string) string {
	t.Helper()
	return docker(t, "inspect", "-f", "{{"+field+"}}", c.name)
}

func (c *container) logs(t *testing.T) string {
	t.Helper()
	return docker(t, "logs", c.name)
}

func (c *container) probe(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	return run(t, nil, "docker", append([]string{"exec", c.name, "/bin/probe"}, args...)...)
}

// curl asks the program from inside its network, and returns the status code
// and the body.
func (c *container) curl(t *testing.T, args ...string) (code int, body string) {
	t.Helper()
	args = append([]string{"-t", c.pid, "-n", "curl", "-s", "-m", "15", "-w", "\n%{http_code}"}, args...)
	out, _ := run(t, nil, "nsenter", args...)
	i := strings.LastIndexByte(out, '\n')
	code, _ = strconv.Atoi(out[i+1:])
	return code, strings.TrimSpace(out[:max(i, 0)])
}

func (c *container) status(t *testing.T, path string) int {
	t.Helper()
	code, _ := c.curl(t, "http://127.0.0.1:8080"+path)
	return code
}

func (c *container) health(t *testing.T, want string) {
	t.Helper()
	await(t, "container is "+want, 30*time.Second, func() bool { return c.inspect(t, ".State.Health.Status") == want })
}

func TestExample(t *testing.T) {
	c := start(t, image(t), "-e", "ADMIN_TOKEN=correct-horse-battery")
	c.health(t, "healthy")
	t.Run("probe-agrees-by-every-way", func(t *testing.T) { c.probesSay(t, 0) })
	t.Run("secret-stays-inside", c.secretStaysInside)
	t.Run("manual-switch", func(t *testing.T) {
		if code, body := c.curl(t, "-X", "POST", "http://127.0.0.1:8080/down"); code != 200 {
			t.Fatalf("down: %d %s", code, body)
		}
		c.probesSay(t, 1)
		c.health(t, "unhealthy")
		for path, want := range map[string]int{"/readyz": 503, "/": 503, "/livez": 200} {
			if got := c.status(t, path); got != want {
				t.Errorf("%s while down: %d, want %d", path, got, want)
			}
		}
		if code, _ := c.curl(t, "-X", "POST", "-H", "Sec-Fetch-Site: cross-site", "http://127.0.0.1:8080/up"); code != 403 {
			t.Errorf("a cross-site request to /up: %d", code)
		}
		c.curl(t, "-X", "POST", "http://127.0.0.1:8080/up")
		c.health(t, "healthy")
		c.probesSay(t, 0)
	})
	t.Run("drains-on-sigterm", c.drains)
}

// probesSay asks with the probe in the container by all four ways.
func (c *container) probesSay(t *testing.T, want int) {
	t.Helper()
	for _, target := range []string{":8080/readyz", "grpc://:9000", "unix:///run/app/health.sock/readyz", "file:///run/app/health?max-age=5s&line=ok"} {
		await(t, fmt.Sprintf("probe %s exits with %d", target, want), 10*time.Second, func() bool {
			_, code := c.probe(t, target)
			return code == want
		})
	}
}

func (c *container) secretStaysInside(t *testing.T) {
	if code, _ := c.curl(t, "-H", "Authorization: Bearer correct-horse-battery", "http://127.0.0.1:8080/admin"); code != 200 {
		t.Errorf("the right token: %d", code)
	}
	if code, _ := c.curl(t, "-H", "Authorization: Bearer other", "http://127.0.0.1:8080/admin"); code != 403 {
		t.Errorf("a wrong token: %d", code)
	}
	environ, err := os.ReadFile("/proc/" + c.pid + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(environ, []byte("correct-horse")) || !bytes.Contains(environ, []byte("ADMIN_TOKEN=")) {
		t.Errorf("environment of the process: %q", environ)
	}
	if log := c.logs(t); strings.Contains(log, "correct-horse") || !strings.Contains(log, "secret=[secret]") || !strings.Contains(log, "environment ADMIN_TOKEN") {
		t.Errorf("log: %s", log)
	}
}

func (c *container) drains(t *testing.T) {
	type reply struct {
		code int
		body string
	}
	slow := make(chan reply)
	go func() {
		code, body := c.curl(t, "http://127.0.0.1:8080/slow")
		slow <- reply{code, body}
	}()
	time.Sleep(500 * time.Millisecond)
	stopped := make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(stopped)
		run(t, nil, "docker", "stop", "-t", "25", c.name)
	}()
	await(t, "the program says it is draining", 5*time.Second, func() bool { return c.status(t, "/readyz") == 503 })
	for path, want := range map[string]int{"/livez": 200, "/": 200} {
		if got := c.status(t, path); got != want {
			t.Errorf("%s while draining: %d, want %d", path, got, want)
		}
	}
	for _, target := range []string{":8080/readyz", "grpc://:9000"} {
		if out, code := c.probe(t, target); code != 1 {
			t.Errorf("probe %s while draining: %d %s", target, code, out)
		}
	}
	if r := <-slow; r.code != 200 || r.body != "done" {
		t.Errorf("the request in flight: %d %q", r.code, r.body)
	}
	<-stopped
	if took := time.Since(begin); took > 20*time.Second || took < 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if code, log := c.inspect(t, ".State.ExitCode"), c.logs(t); code != "0" || !strings.Contains(log, "msg=stopped err=<nil>") && !strings.Contains(log, "stopped") {
		t.Errorf("exit code %s, log %s", code, log)
	}
}

// A secret is mounted as Compose does: a file of the host's, whoever owns it.
func TestSecretFileIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set("first")
	if err := os.Chown(path, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	c := start(t, image(t), "-v", path+":/run/secrets/admin-token:ro")
	c.health(t, "healthy")
	accepted := func(token string) bool {
		code, _ := c.curl(t, "-H", "Authorization: Bearer "+token, "http://127.0.0.1:8080/admin")
		return code == 200
	}
	if !accepted("first") || accepted("second") {
		t.Error("the first token is not in force")
	}
	set("second")
	await(t, "the second token is in force", 10*time.Second, func() bool { return accepted("second") && !accepted("first") })
	if log := c.logs(t); !strings.Contains(log, "secret rotated") || !strings.Contains(log, "file /run/secrets/admin-token") {
		t.Errorf("log: %s", log)
	}
}

// Without its secret the program does not start, and says where it looked.
func TestMissingSecret(t *testing.T) {
	out, code := run(t, nil, "docker", "run", "--rm", "--network", "none", image(t))
	want := "secret not found in environment ADMIN_TOKEN, file /run/secrets/admin-token"
	if code != 1 || !strings.Contains(out, want) {
		t.Errorf("exit code %d: %s, want %q", code, out, want)
	}
}
