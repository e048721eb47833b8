package app

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	lines := strings.Fields(string(out))
	if len(lines) == 0 {
		t.Fatalf("go list %v printed nothing", args)
	}
	return lines
}

// An importer's module graph gains this module and no other, because this one
// requires none.
func TestModuleRequiresNothing(t *testing.T) {
	const self = "github.com/hardstand/hardstand/app"
	if got := list(t, "-m", "-f", "{{.Path}}", "all"); len(got) != 1 || got[0] != self {
		t.Errorf("modules: %v, want %s alone", got, self)
	}
	for _, dep := range list(t, "-deps", "-test", "-f", "{{if not .Standard}}{{.Module.Path}}{{end}}", "./...") {
		if dep != self {
			t.Errorf("a package depends on %s", dep)
		}
	}
}

var program = regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$")

// The complete programs in the guides compile.
func TestProgramsInTheGuides(t *testing.T) {
	app, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, guide := range []string{"health.md", "secret.md"} {
		text, err := os.ReadFile(filepath.Join("../docs", guide))
		if os.IsNotExist(err) {
			t.Skip("the guides are not part of the module")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range program.FindAllStringSubmatch(string(text), -1) {
			found++
			dir := t.TempDir()
			mod := "module guide\n\ngo 1.26\n\nrequire github.com/hardstand/hardstand/app v0.1.0\n\nreplace github.com/hardstand/hardstand/app => " + app + "\n"
			for name, content := range map[string]string{"go.mod": mod, "main.go": m[1]} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("go", "vet", ".")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", guide, err, out, m[1])
			}
		}
	}
	if found < 3 {
		t.Errorf("%d programs found in the guides, want at least 3", found)
	}
}
