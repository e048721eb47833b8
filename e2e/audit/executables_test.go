//go:build e2e

package audit_test

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit/scan/scantest"
)

// What hardstand-audit may weigh: bytes, modules, and bytes that packages
// allocate before main runs.
const (
	maxExecutable = 23_000_000
	maxModules    = 65
	maxInit       = 950_000
)

func executables(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("HARDSTAND_BIN")
	if dir == "" {
		t.Skip("needs HARDSTAND_BIN; scripts/e2e sets it")
	}
	return dir
}

// TestWeight keeps hardstand-audit small: each library in it is paid for by
// every audit.
func TestWeight(t *testing.T) {
	dir := executables(t)
	file := filepath.Join(dir, "hardstand-audit")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("hardstand-audit: %d bytes, %d modules", len(data), len(info.Deps))
	if len(data) > maxExecutable || len(info.Deps) > maxModules {
		t.Errorf("hardstand-audit has %d bytes of at most %d, %d modules of at most %d", len(data), maxExecutable, len(info.Deps), maxModules)
	}
	for _, name := range []string{"hardstand", "hardstand-audit"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte("github.com/spf13/cobra.(*Command).ExecuteContextC")) {
			t.Fatalf("%s shows no names of functions, so nothing can be looked for", name)
		}
		if bytes.Contains(data, []byte("text/template.(*state).evalField")) {
			t.Errorf("%s executes a template: the linker keeps every method of every type, which is megabytes", name)
		}
	}
	cmd := exec.Command(file, "--version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	total, largest := 0, map[int]string{}
	for line := range strings.Lines(trace.String()) {
		var name string
		var at, took float64
		var size, count int
		if n, _ := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &took, &size, &count); n == 5 {
			total += size
			largest[size] = name
		}
	}
	if len(largest) == 0 {
		t.Fatalf("no trace in %q", trace.String())
	}
	t.Logf("%d bytes before main", total)
	if total > maxInit {
		for _, size := range slices.Backward(slices.Sorted(maps.Keys(largest))) {
			t.Logf("%d %s", size, largest[size])
		}
		t.Errorf("packages allocate %d bytes before main, at most %d", total, maxInit)
	}
}

// repository has one artefact of each kind that files can be, with a fault.
var repository = map[string]string{
	"Dockerfile": "FROM debian:latest\nADD app /app\nCMD [\"/app\"]\n",
	"compose.yaml": `services:
  web:
    image: registry.example/web:1
    privileged: true
`,
	"deploy/pod.yaml": `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: web
      image: registry.example/web:1
      securityContext: {privileged: true}
`,
	"task.json":                `{"family":"web","containerDefinitions":[{"name":"web","image":"registry.example/web:1","privileged":true}]}`,
	".github/workflows/ci.yml": "on: push\njobs:\n  build:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n",
}

// judged is one verdict of a report.
type judged struct {
	Rule, Verdict, Needs string
	Artifact             struct{ Kind, Name, SHA256 string }
}

// audited runs hardstand of dir and returns its report and exit code.
func audited(t *testing.T, dir, work string, args ...string) ([]judged, int, string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "hardstand"), append([]string{"audit", "--no-config", "--format", "json", "--all"}, args...)...)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "HOME="+work, "PATH="+filepath.Join(work, "path")+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var report struct{ Findings []judged }
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil && stdout.Len() > 0 {
		t.Fatalf("%v in %s", err, stdout.String())
	}
	return report.Findings, cmd.ProcessState.ExitCode(), stderr.String()
}

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	work := t.TempDir()
	for name, text := range files {
		file := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return work
}

// verdictOf is the verdict of a rule about an artefact, or "".
func verdictOf(list []judged, rule, name string) string {
	for _, f := range list {
		if f.Rule == rule && f.Artifact.Name == name {
			return f.Verdict
		}
	}
	return ""
}

// faults are the rules that must fail in the repository's files.
var faults = map[string]string{
	"Dockerfile": "CHG-2.1a", "compose.yaml": "CHG-3.3r", "deploy/pod.yaml": "CHG-3.3r", "task.json": "CHG-3.3r", ".github/workflows/ci.yml": "CHG-2.3f",
}

// TestThroughTheExecutables judges each kind of file, and a repository of
// them, by the programs that are shipped.
func TestThroughTheExecutables(t *testing.T) {
	dir, work := executables(t), lay(t, repository)
	for name, rule := range faults {
		list, code, stderr := audited(t, dir, work, name)
		if code != 3 || verdictOf(list, rule, name) != "fail" {
			t.Errorf("%s: exit code %d, %s is %q, want 3 and fail\n%s", name, code, rule, verdictOf(list, rule, name), stderr)
		}
		for _, f := range list {
			if f.Artifact.Name == name && len(f.Artifact.SHA256) != 64 { // the context of a Dockerfile is no file
				t.Errorf("%s %s: sha256 %q", name, f.Rule, f.Artifact.SHA256)
			}
		}
		if _, code, stderr := audited(t, dir, work, name, "--fail-on", "never"); code != 0 {
			t.Errorf("%s --fail-on never: exit code %d\n%s", name, code, stderr)
		}
	}
	list, code, stderr := audited(t, dir, work, ".")
	if code != 3 {
		t.Errorf("repository: exit code %d\n%s", code, stderr)
	}
	for name, rule := range faults {
		if v := verdictOf(list, rule, name); v != "fail" {
			t.Errorf("repository: %s of %s is %q", rule, name, v)
		}
	}
	if _, code, _ := audited(t, dir, work, "missing.yaml"); code != 1 {
		t.Errorf("a file that is not there: exit code %d", code)
	}
	if _, code, _ := audited(t, dir, work, "--format", "nonsense", "compose.yaml"); code != 2 {
		t.Errorf("a wrong flag: exit code %d", code)
	}
}

// TestWithoutCompanions takes programs away. What they would judge is unknown,
// the rest is judged, and a program of that name in PATH is left alone.
func TestWithoutCompanions(t *testing.T) {
	dir := executables(t)
	files := maps.Clone(repository)
	for _, name := range []string{"hardstand-audit", "hardstand-compose", "hardstand-reach"} {
		files["path/"+name] = "#!/bin/sh\ntouch " + filepath.Join(t.TempDir(), "x") + " \"$HOME/was-run\"\n"
	}
	work := lay(t, files)
	some := t.TempDir()
	copyFile(t, dir, some, "hardstand")
	if list, code, stderr := audited(t, some, work, "compose.yaml"); code != 1 || len(list) > 0 || !strings.Contains(stderr, "find hardstand-audit: it is not in") {
		t.Errorf("without hardstand-audit: exit code %d, %d findings\n%s", code, len(list), stderr)
	}
	copyFile(t, dir, some, "hardstand-audit")
	list, code, stderr := audited(t, some, work, "compose.yaml")
	if code != 1 || len(list) == 0 || !strings.Contains(stderr, "find hardstand-compose: it is not in") {
		t.Errorf("without hardstand-compose: exit code %d, %d findings\n%s", code, len(list), stderr)
	}
	for _, f := range list {
		if f.Verdict != "unknown" || !strings.Contains(f.Needs, "hardstand-compose") {
			t.Errorf("without hardstand-compose: %+v", f)
		}
	}
	list, code, stderr = audited(t, some, work, ".")
	if code != 1 || !strings.Contains(stderr, "compose.yaml") {
		t.Errorf("repository without hardstand-compose: exit code %d\n%s", code, stderr)
	}
	for name, rule := range faults {
		want := "fail"
		if name == "compose.yaml" {
			want = "unknown"
		}
		if v := verdictOf(list, rule, name); v != want {
			t.Errorf("repository without hardstand-compose: %s of %s is %q, want %s", rule, name, v, want)
		}
	}
	reached(t, dir, some, work)
	if _, err := os.Stat(filepath.Join(work, "was-run")); err == nil {
		t.Error("a program in PATH was run")
	}
}

// reached scans a program with and without hardstand-reach.
func reached(t *testing.T, dir, without, work string) {
	t.Helper()
	program := filepath.Join(work, "program")
	build := exec.Command("go", "build", "-o", program, "../hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	now := time.Now().Add(-time.Hour)
	if err := scantest.Write(filepath.Join(work, "osv"), map[string][]scantest.Entry{"Go": {
		scantest.Go("GO-2026-0001", "stdlib", now, nil, "0", "1.99.0", map[string][]string{"net/http": {"ListenAndServe", "Server.Serve", "Server.ListenAndServe"}}),
		scantest.Go("GO-2026-0002", "stdlib", now, nil, "0", "1.99.0", map[string][]string{"archive/zip": {"OpenReader"}}),
	}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir  string
		code int
		says []string
	}{
		{dir, 3, []string{"reaches net/http", "GO-2026-0001"}},
		{without, 1, []string{"find hardstand-reach: it is not in"}},
	} {
		cmd := exec.Command(filepath.Join(tt.dir, "hardstand"), "scan", program, "--db", filepath.Join(work, "osv"), "--reach")
		cmd.Env = append(os.Environ(), "HOME="+work, "PATH="+filepath.Join(work, "path")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != tt.code {
			t.Errorf("scan --reach: exit code %d, want %d\n%s", code, tt.code, out)
		}
		for _, words := range tt.says {
			if !bytes.Contains(out, []byte(words)) {
				t.Errorf("scan --reach does not say %q:\n%s", words, out)
			}
		}
	}
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	in, err := os.Open(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(to, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestComposeIsStartedOnce audits a repository of many Compose files: the
// program that reads them stays, also behind one it cannot read.
func TestComposeIsStartedOnce(t *testing.T) {
	dir, files := executables(t), map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("s%d/compose.yaml", i)] = repository["compose.yaml"]
	}
	files["s3/compose.yaml"] = "services: {web: {image: [1]}}\n"
	work, some := lay(t, files), t.TempDir()
	for _, name := range []string{"hardstand", "hardstand-audit"} {
		copyFile(t, dir, some, name)
	}
	copyFile(t, dir, some, "hardstand-compose")
	if err := os.Rename(filepath.Join(some, "hardstand-compose"), filepath.Join(some, "real")); err != nil {
		t.Fatal(err)
	}
	counting := fmt.Sprintf("#!/bin/sh\necho x >>%s/starts\nexec %s/real\n", work, some)
	if err := os.WriteFile(filepath.Join(some, "hardstand-compose"), []byte(counting), 0o755); err != nil {
		t.Fatal(err)
	}
	list, code, stderr := audited(t, some, work, ".")
	if code != 1 || !strings.Contains(stderr, "s3/compose.yaml") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	for i := range 20 {
		name, want := fmt.Sprintf("s%d/compose.yaml", i), "fail"
		if i == 3 {
			want = ""
		}
		if v := verdictOf(list, "CHG-3.3r", name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	starts, err := os.ReadFile(filepath.Join(work, "starts"))
	if err != nil || string(starts) != "x\n" {
		t.Errorf("started %d times: %v", strings.Count(string(starts), "x"), err)
	}
}
