package dockerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// load reads a fixture: a Dockerfile, and its context where there is one.
func load(t *testing.T, dir string) Input {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Name: "Dockerfile", Data: data, ContextName: "context"}
	if info, err := os.Stat(filepath.Join(dir, "context")); err == nil && info.IsDir() {
		in.Context = os.DirFS(filepath.Join(dir, "context"))
	}
	return in
}

// verify stands in for a trust policy: it trusts one registry.
func verify(_ context.Context, ref string) (string, error) {
	if strings.HasPrefix(ref, "signed.example/") {
		return "key abc", nil
	}
	return "", errors.New("no signature")
}

func TestRules(t *testing.T) {
	audittest.Check(t, audittest.Package{
		Rules: Rules(), Letters: "a-h",
		Audit: func(t *testing.T, dir string) []audit.Finding {
			o := Options{Now: now, Verify: verify, Trusted: []string{"signed.example", "gcr.io/distroless"}}
			if !strings.Contains(t.Name(), "CHG-2.2b") {
				o.Trusted = nil
			}
			res, err := Audit(t.Context(), load(t, dir), o)
			if err != nil {
				t.Fatal(err)
			}
			return res.Findings
		},
	})
}

// TestNothingToReadIsNeverPassed takes each input away: what was passed must
// become unknown or go.
func TestNothingToReadIsNeverPassed(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/CHG-*/pass*.txtar")
	if err != nil || len(fixtures) < 40 {
		t.Fatalf("%d fixtures, %v", len(fixtures), err)
	}
	for _, fixture := range fixtures {
		in := load(t, audittest.Unpack(t, fixture))
		in.Data = append(in.Data, []byte("\nCOPY onlyone\n")...)
		res, err := Audit(t.Context(), in, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range res.Findings {
			if f.Verdict == audit.Pass && f.Artifact.Kind == audit.Dockerfile && f.Rule != "CHG-1.1a" {
				t.Errorf("%s: %s passes although an instruction cannot be read: %s", fixture, f.Rule, f.Observed)
			}
		}
	}
}
