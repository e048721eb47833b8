//go:build e2e

// Package e2e runs hardstand as a person would: the real Debian archive, a
// real Docker engine, registries and tools of others. `make e2e` prepares what
// the tests need.
package e2e_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// home is shared by all tests, so that packages are fetched once.
var home string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hardstand-e2e-")
	if err != nil {
		panic(err)
	}
	home = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// bin returns the path of a program that make build made.
func bin(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("HARDSTAND_BIN")
	if dir == "" {
		dir = "../bin"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return path
}

// result is what a command printed and its exit code.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a command in dir with further environment.
func run(t *testing.T, dir string, env []string, name string, args ...string) result {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "XDG_STATE_HOME="), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed and returns its stdout, trimmed.
func must(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	r := run(t, dir, env, name, args...)
	if r.code != 0 {
		t.Fatalf("%s %v: exit code %d\n%s%s", name, args, r.code, r.stdout, r.stderr)
	}
	return strings.TrimSpace(r.stdout)
}

func hardstand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return must(t, dir, []string{"HARDSTAND_PASSWORD=e2e"}, bin(t, "hardstand"), args...)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	return must(t, "", nil, "docker", args...)
}

// await polls until f says yes.
func await(t *testing.T, what string, limit time.Duration, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("%s: not within %v", what, limit)
}

// summary is the part of build --json that tests look at.
type summary struct {
	Digest string
	Images []struct {
		Platform, Digest string
		Size             int64
	}
}

func parseSummary(t *testing.T, text string) summary {
	t.Helper()
	var s summary
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return s
}
