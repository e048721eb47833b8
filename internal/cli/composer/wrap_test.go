package composer

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// TestVersionOf goes through what the go command has written into programs:
// a version, "(devel)" with the commit beside it, or nothing at all.
func TestVersionOf(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	vcs := func(pairs ...string) (list []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	cases := map[string]struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		"released":       {"v1.2.3", nil, "v1.2.3"},
		"stamped":        {"v1.2.4-0.20260102030405-0123456789ab+dirty", vcs("vcs.revision", commit, "vcs.time", "2026-01-02T03:04:05Z"), "v1.2.4-0.20260102030405-0123456789ab+dirty"},
		"devel":          {"(devel)", vcs("vcs.revision", commit, "vcs.time", "2026-01-02T03:04:05Z", "vcs.modified", "false"), "v0.0.0-20260102030405-0123456789ab"},
		"devel-modified": {"(devel)", vcs("vcs.revision", commit, "vcs.time", "2026-01-02T03:04:05Z", "vcs.modified", "true"), "v0.0.0-20260102030405-0123456789ab+dirty"},
		"other-zone":     {"(devel)", vcs("vcs.revision", commit, "vcs.time", "2026-01-02T03:04:05+02:00"), "v0.0.0-20260102010405-0123456789ab"},
		"none":           {"", vcs("vcs.revision", commit, "vcs.time", "2026-01-02T03:04:05Z"), "v0.0.0-20260102030405-0123456789ab"},
		"no-commit":      {"(devel)", nil, ""},
		"no-time":        {"(devel)", vcs("vcs.revision", commit), ""},
		"bad-time":       {"(devel)", vcs("vcs.revision", commit, "vcs.time", "yesterday"), ""},
		"short-commit":   {"(devel)", vcs("vcs.revision", "0123", "vcs.time", "2026-01-02T03:04:05Z"), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			info := &buildinfo.BuildInfo{Main: debug.Module{Path: "example.org/x", Version: c.version}, Settings: c.settings}
			if got := versionOf(info); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestComponentsOfAWorkingTree compiles a program of a module of its own, whose
// version is "(devel)", and looks at what an SBOM would say of it.
func TestComponentsOfAWorkingTree(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/own\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", "own", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p, err := readProgram(filepath.Join(dir, "own"))
	if err != nil {
		t.Fatal(err)
	}
	list := components("own", "/usr/local/bin/own", p)
	if len(list) != 2 || list[1].Name != "stdlib" || !strings.HasPrefix(list[1].PURL, "pkg:golang/stdlib@1.") {
		t.Fatalf("%+v", list)
	}
	sum := sha256.Sum256(p.data)
	if c := list[0]; c.Version != "" || c.PURL != "pkg:golang/example.org/own" || c.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v: want no version, because nobody knows one", c)
	}
}
