package corpus

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/detect"
	"github.com/hardstand/hardstand/audit/dockerfile"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/audit/workload/compose/composefile"
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
	"kubernetes": workloads(audit.Kubernetes),
	"compose":    workloads(audit.Compose),
	"ecs":        workloads(audit.ECS),
	"docker":     workloads(audit.Docker),
}

// workloads judges the one file of a case that is not its expectations.
func workloads(kind audit.Kind) func(t *testing.T, dir string) []audit.Finding {
	return func(t *testing.T, dir string) []audit.Finding {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if f.Name() == "want" || f.Name() == "expected" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if got := detect.Content(data); got != kind {
				t.Errorf("%s/%s is taken for %q", kind, f.Name(), got)
			}
			res, err := workload.Audit(t.Context(), workload.Input{Name: f.Name(), Kind: kind, Data: data}, workload.Options{Compose: composefile.Read})
			if err != nil {
				t.Fatal(err)
			}
			return res.Findings
		}
		t.Fatalf("an empty case in %s", dir)
		return nil
	}
}

// least is what precision and recall of every kind may not fall below.
const least = 0.98

const tableFile = "../../docs/audit-accuracy.md"

// TestCorpus compares every case, and the table with the one in docs: a rule
// that becomes worse shows in a diff.
func TestCorpus(t *testing.T) {
	cases, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := LoadManifests("../workload/testdata/manifests")
	if err != nil {
		t.Fatal(err)
	}
	cases = append(cases, manifests...)
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
	for kind, files := range map[string]int{"dockerfile": 25, "kubernetes": 18, "compose": 9, "ecs": 7, "docker": 4} {
		s := scores[kind]
		if s == nil || s.Files < files {
			t.Errorf("fewer than %d cases of %s: %+v", files, kind, s)
			continue
		}
		if precision, recall := s.Precision(), s.Recall(); precision < least || recall < least {
			t.Errorf("%s: precision %.3f, recall %.3f, want %.3f of both", kind, precision, recall, least)
		}
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
