//go:build e2e

// Package scan runs hardstand scan on real things: images of the real archive
// in the real Docker, this machine's own package list, the signed index.
package scan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit/scan/scantest"
)

// home is shared by all tests, so that packages are fetched once.
var home string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hardstand-e2e-scan-")
	if err != nil {
		panic(err)
	}
	home = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// hardstand runs the program that make build made, and returns its exit code.
func hardstand(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	bin := os.Getenv("HARDSTAND_BIN")
	if bin == "" {
		bin = "../../bin"
	}
	path, err := filepath.Abs(filepath.Join(bin, "hardstand"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+os.Getenv("HARDSTAND_E2E_CACHE"), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("%v: run make build", err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func must(t *testing.T, dir string, want int, args ...string) string {
	t.Helper()
	stdout, stderr, code := hardstand(t, dir, args...)
	if code != want {
		t.Fatalf("hardstand %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout
}

type report struct {
	Kind     string         `json:"kind"`
	Packages map[string]int `json:"packages"`
	Problems []string       `json:"problems"`
	Findings []struct {
		ID      string `json:"id"`
		Package struct {
			Name, Binary, PURL string
		} `json:"package"`
		Others []json.RawMessage `json:"others"`
	} `json:"findings"`
	Updates []struct{ Available, Suite string } `json:"updates"`
}

func read(t *testing.T, text string) report {
	t.Helper()
	var r report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return r
}

// TestEveryWayToAnImage finds the same packages and flaws in a layout, an
// archive, Docker, and the SBOM that the build attests.
func TestEveryWayToAnImage(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := scantest.Write(filepath.Join(dir, "osv"), map[string][]scantest.Entry{
		"Debian": {
			scantest.Debian("DEBIAN-CVE-2026-1", "openssl", now.Add(-time.Hour), "high", map[string]string{"13": "99-1"}),
			scantest.Debian("DEBIAN-CVE-2026-2", "glibc", now.Add(-time.Hour), "low", map[string]string{"13": ""}),
			scantest.Debian("DEBIAN-CVE-2026-3", "openssl", now.Add(-time.Hour), "high", map[string]string{"13": "0.1-1"}),
		},
		"Go": {scantest.Go("GO-2026-1", "stdlib", now.Add(-time.Hour), nil, "0", "99.0.0", nil)},
	}); err != nil {
		t.Fatal(err)
	}
	must(t, dir, 0, "build", "base", "-o", "oci:base", "--sbom", "sbom", "--platform", "linux/amd64", "-q")
	must(t, dir, 0, "build", "base", "-o", "docker-archive:base.tar", "--platform", "linux/amd64", "-q")
	must(t, dir, 0, "build", "base", "-o", "docker:hardstand-e2e/scan:1", "--platform", "linux/amd64", "-q")
	var first string
	for _, target := range []string{"oci:base", "docker-archive:base.tar", "docker:hardstand-e2e/scan:1"} {
		r := read(t, must(t, dir, 3, "scan", target, "--db", "osv", "--json", "--platform", "linux/amd64"))
		if len(r.Problems) > 0 || r.Packages["Debian:13"] < 10 || r.Packages["Go"] == 0 {
			t.Errorf("%s: %d packages of Debian, %d of Go, problems %v", target, r.Packages["Debian:13"], r.Packages["Go"], r.Problems)
		}
		got := summary(r)
		if first == "" {
			first = got
			if !strings.Contains(got, "CVE-2026-1 openssl") || !strings.Contains(got, "CVE-2026-2 glibc") || strings.Contains(got, "CVE-2026-3") {
				t.Errorf("findings:\n%s", got)
			}
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "sbom", "*spdx*"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return !strings.Contains(f, "amd64") })
	if len(files) == 0 {
		t.Fatal("the build wrote no SBOM for linux/amd64")
	}
	r := read(t, must(t, dir, 3, "scan", files[0], "--db", "osv", "--json", "--fail-on", "high", "--ignore-ecosystem", "Go"))
	debian := func(text string) string {
		return strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(l string) bool { return !strings.Contains(l, "CVE-") }), "")
	}
	if diff := cmp.Diff(debian(first), debian(summary(r))); diff != "" {
		t.Errorf("SBOM: %s", diff)
	}
}

// summary is a line for each finding and for each ecosystem.
func summary(r report) string {
	var lines []string
	for _, f := range r.Findings {
		lines = append(lines, fmt.Sprintf("%s %s %s+%d\n", f.ID, f.Package.Name, f.Package.PURL, len(f.Others)))
	}
	for name, n := range r.Packages {
		lines = append(lines, fmt.Sprintf("%s %d\n", name, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestThisMachinesPackages compares the inventory of this machine's package
// list with what dpkg says of it.
func TestThisMachinesPackages(t *testing.T) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package}\n").Output()
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	want := 0
	for line := range strings.Lines(string(out)) {
		if s := strings.Fields(line)[0]; s != "not-installed" && s != "config-files" {
			want++
		}
	}
	dir := t.TempDir()
	for _, file := range []string{"/var/lib/dpkg/status", "/etc/os-release"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, "root", file)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var entries []scantest.Entry
	for _, release := range []string{"11", "12", "13", "14"} {
		entries = append(entries, scantest.Debian("DEBIAN-CVE-2026-"+release, "no-such-package", time.Now(), "high", map[string]string{release: ""}))
	}
	if err := scantest.Write(filepath.Join(dir, "osv"), map[string][]scantest.Entry{"Debian": entries}); err != nil {
		t.Fatal(err)
	}
	r := read(t, must(t, dir, 0, "scan", "root", "--db", "osv", "--json"))
	got := 0
	for _, n := range r.Packages {
		got += n
	}
	if got != want || want < 50 {
		t.Errorf("%d packages, and dpkg says %d", got, want)
	}
}

// TestUpdatesAgainstTheSignedArchive locks against today's archive, which
// leaves nothing to update, and then asks about an older package.
func TestUpdatesAgainstTheSignedArchive(t *testing.T) {
	dir := t.TempDir()
	definition := "name: fresh\ndescription: for a test\ndebian: {suite: trixie}\npackages: [tzdata, netbase]\nplatforms: [linux/amd64]\n"
	if err := os.WriteFile(filepath.Join(dir, "fresh.yaml"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, dir, 0, "lock", "./fresh.yaml", "-q")
	must(t, dir, 0, "build", "./fresh.yaml", "-o", "oci:fresh", "-q")
	out := must(t, dir, 0, "scan", "oci:fresh", "--updates", "--json")
	if r := read(t, out); len(r.Updates) > 0 || len(r.Problems) > 0 || r.Packages["Debian:13"] < 2 {
		t.Errorf("%+v", r)
	}
	old := `{"spdxVersion":"SPDX-2.3","packages":[{"name":"tzdata","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/tzdata@2020a-1?arch=all&distro=debian-13"}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "old.json"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, must(t, dir, 3, "scan", "old.json", "--updates", "--json"))
	if len(r.Updates) != 1 || !strings.HasPrefix(r.Updates[0].Suite, "trixie") {
		t.Errorf("updates %+v", r.Updates)
	}
}
