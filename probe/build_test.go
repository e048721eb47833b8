package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/internal/deptest"
)

// The binaries under test, built once by TestMain.
var (
	fastBinary     string // as images carry it
	ordinaryBinary string // without the fast path
	portableBinary string // on packages net and os
	workDir        string
)

func TestMain(m *testing.M) {
	if os.Getenv(asPID1) != "" {
		os.Exit(beInit())
	}
	code, err := withBinaries(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func withBinaries(run func() int) (code int, err error) {
	if workDir, err = os.MkdirTemp("", "probe-test-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(workDir)
	fastBinary = filepath.Join(workDir, "fast")
	ordinaryBinary = filepath.Join(workDir, "ordinary")
	portableBinary = filepath.Join(workDir, "portable")
	entry := "-s -w -buildid= -E main.entry"
	if !hasFastPath() {
		entry = "-s -w -buildid="
	}
	for _, b := range []struct{ path, ldflags, tags string }{
		{fastBinary, entry, ""},
		{ordinaryBinary, "-s -w -buildid=", ""},
		{portableBinary, "-s -w -buildid=", "portable"},
	} {
		if err := buildProbe(b.path, b.ldflags, b.tags); err != nil {
			return 1, err
		}
	}
	return run(), nil
}

func hasFastPath() bool {
	return runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")
}

// buildProbe builds this package; env holds further variables.
func buildProbe(path, ldflags, tags string, env ...string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-ldflags", ldflags, "-o", path, ".")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build probe: %w\n%s", err, out)
	}
	return nil
}

func TestBoundary(t *testing.T) {
	allow := deptest.Allow{"github.com/hardstand/hardstand/probe/...": "its own packages"}
	for _, env := range [][]string{{"GOOS=linux", "GOARCH=amd64"}, {"GOOS=linux", "GOARCH=riscv64"}, {"GOOS=windows", "GOARCH=amd64"}} {
		deptest.Check(t, allow, env...)
	}
}

// TestPlainProbeIsSmall makes sure that nothing large slips into the probe
// without TLS: package net alone would be half a megabyte.
func TestPlainProbeIsSmall(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-tags", "notls", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, heavy := range []string{"net", "os", "fmt", "reflect", "time", "context", "crypto/tls"} {
		if bytes.Contains(append([]byte("\n"), out...), []byte("\n"+heavy+"\n")) {
			t.Errorf("the plain probe links package %s", heavy)
		}
	}
}

// tag is put together at run time, so that it is not in the test binary's data.
func tag() []byte { return []byte(strings.Join([]string{"hardstand", "probe-policy", "v1", ""}, ":")) }

func TestPolicyBlock(t *testing.T) {
	plain := filepath.Join(workDir, "plain")
	if err := buildProbe(plain, "-s -w -buildid=", "notls"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fastBinary, ordinaryBinary, portableBinary, plain} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, tag()); n != 1 {
			t.Errorf("%s holds the tag %d times", path, n)
			continue
		}
		value := data[bytes.Index(data, tag())+len(tag()):][:16]
		if !bytes.Equal(value, []byte("local\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")) {
			t.Errorf("%s holds the policy %q", path, value)
		}
	}
}

// TestPatchedPolicy changes the block as the builder of an image does.
func TestPatchedPolicy(t *testing.T) {
	data, err := os.ReadFile(fastBinary)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, tag()) + len(tag())
	tests := []struct {
		value  string
		policy string
		remote bool
	}{
		{"local", "local", false},
		{"remote", "remote", true},
		{"remote!", "local", false},
		{"REMOTE", "local", false},
		{"", "local", false},
		{"remote\x00remote", "local", false},
	}
	for i, tt := range tests {
		value := make([]byte, 16)
		copy(value, tt.value)
		copy(data[at:], value)
		path := filepath.Join(workDir, fmt.Sprintf("patched-%d", i))
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		version := runProbe(t, path, nil, "--version")
		if !strings.Contains(version.text, "policy "+tt.policy) {
			t.Errorf("patched with %q: %s", tt.value, version.text)
		}
		// The broadcast address is never connected to, but only a probe that
		// may reach out gets as far as asking the kernel.
		out := runProbe(t, path, nil, "http://255.255.255.255/")
		if out.code != 1 || strings.Contains(out.text, "forbidden") == tt.remote {
			t.Errorf("patched with %q: exit code %d, %s", tt.value, out.code, out.text)
		}
	}
}

func TestForbiddenTargets(t *testing.T) {
	for _, target := range []string{"http://192.0.2.1/", "http://8.8.8.8:53/", "http://[2001:db8::1]/", "tcp://10.255.255.254:1", "grpc://224.0.0.1:1"} {
		for _, binary := range []string{fastBinary, ordinaryBinary, portableBinary} {
			out := runProbe(t, binary, nil, target)
			if out.code != 1 || !strings.Contains(out.text, "forbidden") {
				t.Errorf("%s %s: exit code %d, %s", filepath.Base(binary), target, out.code, out.text)
			}
		}
	}
	out := runProbe(t, fastBinary, nil, "http://example.invalid/")
	if out.code != 1 || !strings.Contains(out.text, "does not ask DNS") {
		t.Errorf("a name outside: exit code %d, %s", out.code, out.text)
	}
}
