package workflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/internal/deptest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestRules(t *testing.T) {
	audittest.Check(t, audittest.Package{
		Rules: Rules(), Letters: "a-h",
		Audit: func(t *testing.T, dir string) []audit.Finding {
			data, err := os.ReadFile(filepath.Join(dir, "workflow.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			res, err := Audit(Input{Name: "workflow.yaml", Data: data}, Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			return res.Findings
		},
	})
}

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/audit": "findings",
		"gopkg.in/yaml.v3":                     "lines of every node",
	})
}

func TestIgnoreComments(t *testing.T) {
	text := `on: push
jobs:
  a:
    steps:
      - uses: actions/checkout@v5 # hardstand ignore=CHG-2.3f reason="our own mirror" until=2026-12-31
      # hardstand ignore=CHG-2.3f reason="ran out" until=2026-01-01
      - uses: actions/cache@v5
      - uses: actions/x@v5 # hardstand ignore=CHG-2.3f
`
	res, err := Audit(Input{Name: "w", Data: []byte(text)}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var standing, waived int
	for _, f := range res.Findings {
		if f.Broken() {
			standing++
		}
		if f.Waiver != nil {
			waived++
		}
	}
	if standing != 2 || waived != 1 || len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "no reason") {
		t.Errorf("%d stand, %d waived, notes %q", standing, waived, res.Notes)
	}
}

// TestHostileFiles gives files that would unfold or nest without end.
func TestHostileFiles(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n"
	for name, data := range map[string]string{
		"billion laughs": laughs, "deep": strings.Repeat("[", 100_000), "large": strings.Repeat("a", MaxSize+1), "empty": "", "broken": "a: [",
		"deep block": deepBlock(2000),
	} {
		start := time.Now()
		if _, err := Audit(Input{Name: name, Data: []byte(data)}, Options{Now: now}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func deepBlock(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", min(i, 500)) + "a:\n")
	}
	return b.String()
}

func FuzzAudit(f *testing.F) {
	f.Add([]byte("on: push\njobs:\n  a:\n    steps:\n      - uses: a/b@v1\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("jobs: [1, {uses: 2}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		res, err := Audit(Input{Name: "w", Data: data}, Options{Now: now})
		if err != nil {
			return
		}
		for _, finding := range res.Findings {
			for _, fault := range audittest.FindingFaults(finding) {
				t.Errorf("%s: %s", finding.Rule, fault)
			}
		}
	})
}
