package reach_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/audit/scan/osv"
	"github.com/hardstand/hardstand/audit/scan/reach"
	"github.com/hardstand/hardstand/audit/scan/reach/govulncheck"
	"github.com/hardstand/hardstand/audit/scan/scantest"
	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit":              "the model of findings, of scan",
		"github.com/hardstand/hardstand/audit/codescanning": "of scan",
		"github.com/hardstand/hardstand/audit/scan/...":     "advisories, programs and verdicts",
		"github.com/hardstand/hardstand/build/deb":          "of scan",
		"github.com/hardstand/hardstand/build/fresh":        "of scan",
		"github.com/hardstand/hardstand/build/inflate":      "of deb",
		"github.com/hardstand/hardstand/build/xz":           "of deb",
		"github.com/google/go-containerregistry/...":        "of inventory",
		"github.com/google/osv-scalibr/semantic":            "of osv",
		"github.com/klauspost/compress/...":                 "of osv",
		"github.com/openvex/go-vex/...":                     "justifications",
		"github.com/in-toto/attestation/...":                "of go-vex",
		"google.golang.org/protobuf/...":                    "of go-vex",
		"gopkg.in/yaml.v3":                                  "of go-vex",
		"github.com/package-url/packageurl-go":              "of inventory",
		"github.com/pandatix/go-cvss/...":                   "of scan",
		"golang.org/x/mod/...":                              "of inventory",
		"golang.org/x/sync/errgroup":                        "of go-containerregistry",
	})
}

var analyser = reach.Analyser(govulncheck.Analyse)

// kept is where build puts its programs.
var kept string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hardstand-reach-test-")
	if err != nil {
		panic(err)
	}
	kept = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// app calls one of two functions of its own module's package, and has
// net/url in it but no archive/zip.
const app = `package main

import (
	"net/url"
	"os"
)

func main() {
	u, err := url.Parse(os.Args[0])
	if err != nil {
		panic(err)
	}
	println(u.Host)
}
`

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/app\n\ngo 1.26\n", "main.go": app} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// programs keeps what build made, because linking is what these tests spend
// their time on.
var programs = map[string]string{}

func build(t *testing.T, ldflags string) string {
	t.Helper()
	if file, ok := programs[ldflags]; ok {
		return file
	}
	dir, out := source(t), filepath.Join(kept, "app"+ldflags)
	programs[ldflags] = out
	cmd := exec.Command("go", "build", "-o", out, "-ldflags", ldflags, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	return out
}

func entry(t *testing.T, e scantest.Entry) *osv.Entry {
	t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := osv.ParseEntry(data)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// advisories are about code that is there, code that is not, a package that
// is not, a version that is not, code that is not listed, and another database.
func advisories(t *testing.T) []*osv.Entry {
	now := time.Now()
	all := func(id, introduced string, imports map[string][]string) *osv.Entry {
		return entry(t, scantest.Go(id, "stdlib", now, nil, introduced, "", imports))
	}
	return []*osv.Entry{
		all("GO-2026-0001", "0", map[string][]string{"net/url": {"Parse"}}),
		all("GO-2026-0002", "0", map[string][]string{"net/url": {"JoinPath"}}),
		all("GO-2026-0003", "0", map[string][]string{"archive/zip": {"OpenReader"}}),
		all("GO-2026-0004", "99.0.0", map[string][]string{"net/url": {"Parse"}}),
		all("GO-2026-0005", "0", nil),
		all("GHSA-0006", "0", map[string][]string{"net/url": {"JoinPath"}}),
		all("GO-../evil", "0", map[string][]string{"net/url": {"JoinPath"}}),
	}
}

// check compares verdicts: "reached", "absent", or nothing said.
func check(t *testing.T, got reach.Verdicts, justification string) {
	t.Helper()
	want := map[string]string{"GO-2026-0001": "reached", "GO-2026-0002": "absent", "GO-2026-0003": "absent"}
	for id, r := range got {
		switch {
		case want[id] == "":
			t.Errorf("%s: a verdict about what was not analysed: %+v", id, r)
		case r.Affected != (want[id] == "reached"):
			t.Errorf("%s: %+v, want %s", id, r, want[id])
		case !r.Affected && r.Justification != justification:
			t.Errorf("%s: justification %s, want %s", id, r.Justification, justification)
		case r.Affected && !strings.Contains(r.Evidence, "net/url.Parse"):
			t.Errorf("%s: evidence %q does not name the function", id, r.Evidence)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("nothing said about %v", want)
	}
}

func TestBinary(t *testing.T) {
	got, err := analyser.Binary(context.Background(), build(t, ""), advisories(t), []string{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "vulnerable_code_not_present")
}

func TestSource(t *testing.T) {
	env := append(os.Environ(), "GOTOOLCHAIN=local", "GOFLAGS=", "GOWORK=off")
	got, err := analyser.Source(context.Background(), source(t), advisories(t), env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "vulnerable_code_not_in_execute_path")
}

func TestWhatIsNoProgram(t *testing.T) {
	if _, err := analyser.Binary(context.Background(), "reach_test.go", advisories(t), []string{}); err == nil {
		t.Error("a text was analysed")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := analyser.Binary(ctx, "x", advisories(t), []string{}); err == nil {
		t.Error("an ended context: no error")
	}
}

func TestSame(t *testing.T) {
	program := func(file string) inventory.Program {
		inv, err := inventory.FromProgram(file, inventory.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return inv.Programs[0]
	}
	stripped, full := program(build(t, "-s -w")), program(build(t, ""))
	if !stripped.Stripped || full.Stripped {
		t.Fatalf("stripped %v, full %v", stripped.Stripped, full.Stripped)
	}
	if err := reach.Same(stripped, full); err != nil {
		t.Error(err)
	}
	if reach.Same(stripped, stripped) == nil {
		t.Error("a stripped program passes for one with symbols")
	}
	for name, change := range map[string]func(*inventory.Program){
		"main": func(p *inventory.Program) { p.Main = "example.org/other" }, "go": func(p *inventory.Program) { p.GoVersion = "go1.1" },
		"modules": func(p *inventory.Program) { p.Modules = []string{"x@v1.0.0"} }, "settings": func(p *inventory.Program) { p.Settings = map[string]string{"GOARCH": "vax"} },
	} {
		other := full
		change(&other)
		if reach.Same(stripped, other) == nil {
			t.Errorf("%s: another program passes for the same", name)
		}
	}
}

// TestServe asks as another executable does, and asks wrongly.
func TestServe(t *testing.T) {
	asking := reach.Asking(func(ctx context.Context, request []byte, env []string) ([]byte, error) {
		var out bytes.Buffer
		err := govulncheck.Serve(ctx, bytes.NewReader(request), &out, env)
		return out.Bytes(), err
	})
	got, err := asking.Binary(t.Context(), build(t, ""), advisories(t), []string{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, got, "vulnerable_code_not_present")
	for _, request := range []string{
		"", "{", `{"database":"/x"}`, `{"program":"/x"}`, `{"database":"x","program":"/x"}`, `{"database":"/x","program":"x"}`,
		`{"database":"/x","program":"/x","source":"/x"}`, `{"database":"/x","program":"/x","more":1}`, strings.Repeat(" ", 1<<20) + "{}",
	} {
		var out bytes.Buffer
		if err := govulncheck.Serve(t.Context(), strings.NewReader(request), &out, nil); err == nil || !strings.Contains(err.Error(), "read request") || out.Len() > 0 {
			t.Errorf("%.60s: %v, %d bytes", request, err, out.Len())
		}
	}
}
