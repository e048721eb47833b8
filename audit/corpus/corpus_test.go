package corpus

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/dockerfile"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// auditors says how a kind of case is judged: dir holds its files.
var auditors = map[string]func(t *testing.T, dir string) []audit.Finding{
	"dockerfile": func(t *testing.T, dir string) []audit.Finding {
		data, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
		if err != nil {
			t.Fatal(err)
		}
		in := dockerfile.Input{Name: "Dockerfile", Data: data, ContextName: "context"}
		if _, err := os.Stat(filepath.Join(dir, "context")); err == nil {
			in.Context = os.DirFS(filepath.Join(dir, "context"))
		}
		res, err := dockerfile.Audit(t.Context(), in, dockerfile.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return res.Findings
	},
}

const tableFile = "../../docs/audit-accuracy.md"

// TestCorpus compares every case, and the table with the one in docs: a rule
// that becomes worse shows in a diff.
func TestCorpus(t *testing.T) {
	cases, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	scores := map[string]*Score{}
	for _, c := range cases {
		judge := auditors[c.Kind]
		if judge == nil {
			t.Fatalf("nobody judges %s", c.Kind)
		}
		if scores[c.Kind] == nil {
			scores[c.Kind] = &Score{}
		}
		made, missed := scores[c.Kind].Compare(c, judge(t, audittest.Unpack(t, c.Path)))
		for _, m := range made {
			t.Logf("%s/%s: made up: %s", c.Kind, c.Name, m)
		}
		for _, m := range missed {
			t.Logf("%s/%s: missed: %s", c.Kind, c.Name, m)
		}
	}
	if s := scores["dockerfile"]; s == nil || s.Files < 25 {
		t.Errorf("fewer than 25 Dockerfiles: %+v", s)
	}
	table := Table(scores)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(tableFile, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(tableFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(old) != table {
		t.Errorf("%s is out of date: run with UPDATE=1\n%s", tableFile, table)
	}
}
