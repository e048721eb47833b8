//go:build e2e

// Package images runs the built-in images in a real Docker engine, as their
// users would: a language's own program, its libraries, its certificates.
package images_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// home is shared by all tests, so that packages are fetched once.
var home string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hardstand-e2e-images-")
	if err != nil {
		panic(err)
	}
	home = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// run runs a command and returns what it prints; a failure ends the test.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	stdout, stderr, code := try(t, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

func try(t *testing.T, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+os.Getenv("HARDSTAND_E2E_CACHE"), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return strings.TrimSpace(out.String()), errs.String(), cmd.ProcessState.ExitCode()
}

// hardstand runs the program that make build made.
func hardstand(t *testing.T, args ...string) string {
	t.Helper()
	dir := os.Getenv("HARDSTAND_BIN")
	if dir == "" {
		dir = "../../bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, "hardstand"))
	if err != nil {
		t.Fatal(err)
	}
	return run(t, path, args...)
}

// image builds a built-in image into the engine and returns its tag.
func image(t *testing.T, name string, flags ...string) string {
	t.Helper()
	tag := "hardstand-e2e-images/" + name + ":1"
	hardstand(t, append([]string{"build", name, "-q", "-o", "docker:" + tag}, flags...)...)
	t.Cleanup(func() { run(t, "docker", "rmi", "-f", tag) })
	return tag
}

// confined are the flags under which every image must work.
var confined = []string{"run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"}

func confinedRun(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, "docker", append(slices.Clone(confined), args...)...)
}

// config is what an image tells the engine.
type config struct {
	User            string
	Env, Entrypoint []string
	WorkingDir      string
}

func configOf(t *testing.T, tag string) config {
	t.Helper()
	var c config
	if err := json.Unmarshal([]byte(run(t, "docker", "image", "inspect", "-f", "{{json .Config}}", tag)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// unpack unpacks a platform's image of a layout with another tool and returns
// its root.
func unpack(t *testing.T, layout, platform string) string {
	t.Helper()
	single, bundle := layout+"-single", layout+"-bundle"
	arch, variant, _ := strings.Cut(strings.TrimPrefix(platform, "linux/"), "/")
	run(t, "skopeo", "--override-arch", arch, "--override-variant", variant, "copy", "-q", "oci:"+layout, "oci:"+single+":latest")
	run(t, "umoci", "unpack", "--image", single+":latest", bundle)
	return filepath.Join(bundle, "rootfs")
}
