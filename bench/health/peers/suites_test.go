package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheirOwnTests compiles the tests that docker's package and distribution v3
// come with against the packages that stand in for them, and runs them.
func TestTheirOwnTests(t *testing.T) {
	const own = "github.com/hardstand/hardstand/app/health"
	app := goList(t, "github.com/hardstand/hardstand/app")
	docker := goList(t, "github.com/docker/distribution")
	v3 := goList(t, "github.com/distribution/distribution/v3")
	for _, c := range []struct{ theirs, ours string }{
		{docker + "/health", own},
		{docker + "/health/checks", own + "/checks"},
		{docker + "/health/api", own + "/api"},
		{v3 + "/health", own + "/compat/distv3"},
		{v3 + "/health/checks", own + "/compat/distv3/checks"},
		{v3 + "/health/api", own + "/compat/distv3/api"},
	} {
		t.Run(strings.TrimPrefix(c.ours, own)+"/", func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(c.theirs, "*_test.go"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no tests in %s: %v", c.theirs, err)
			}
			dir := t.TempDir()
			for _, file := range files {
				write(t, filepath.Join(dir, filepath.Base(file)), adapt(t, file, c.ours))
			}
			write(t, filepath.Join(dir, "go.mod"), "module suite\n\ngo 1.26\n\nrequire github.com/hardstand/hardstand/app v0.1.0\n\nreplace github.com/hardstand/hardstand/app => "+app+"\n")
			// Their TestHTTPChecker asks a web site.
			cmd := exec.Command("go", "test", "-v", "-skip", "TestHTTPChecker", ".")
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// adapt turns a test inside their package into one beside ours.
func adapt(t *testing.T, file, ours string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := string(text)
	name := s[strings.Index(s, "\npackage ")+1:]
	if strings.HasPrefix(s, "package ") {
		name = s
	}
	name = strings.Fields(name)[1]
	s = strings.Replace(s, "package "+name, "package suite", 1)
	s = strings.Replace(s, "import (", "import (\n\t. \""+ours+"\"", 1)
	root := strings.TrimSuffix(strings.TrimSuffix(ours, "/checks"), "/api")
	// The one place that names something unexported. What it is about, that the
	// end of polling shows whatever the threshold, is tested in compat/distv3.
	s = strings.Replace(s, "pte := pollingTerminatedErr{Err: errors.New(\"womp womp\")}\n\tu.Update(pte)\n\tassertCheckErr(pte.Error())\n", "", 1)
	s = strings.ReplaceAll(s, `"github.com/docker/distribution/health"`, `health "`+root+`"`)
	return strings.ReplaceAll(s, `"github.com/distribution/distribution/v3/health"`, `health "`+root+`"`)
}

func goList(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
