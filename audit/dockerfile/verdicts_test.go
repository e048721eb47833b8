package dockerfile

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit"
)

const verdicts = "testdata/verdicts.golden"

// TestVerdictsStay compares everything that is said about the files of the
// corpus: the fixtures of a rule do not tell fail from warn, nor one severity
// or alias from another, by which people set thresholds and ignores.
func TestVerdictsStay(t *testing.T) {
	files := corpus(t)
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(files)) {
		res, err := Audit(t.Context(), Input{Name: "Dockerfile", Data: files[p]}, Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n", strings.TrimSuffix(filepath.Base(p), ".txtar"))
		for _, f := range res.Findings {
			if f.Broken() {
				fmt.Fprintf(&b, "  %s %d %s %s %s: %s\n", f.Rule, f.Locator.StartLine, f.Verdict, f.Severity, f.Alias, f.Observed)
			} else if f.Verdict != audit.Pass && f.Artifact.Kind == audit.Dockerfile {
				fmt.Fprintf(&b, "  %s %d %s\n", f.Rule, f.Locator.StartLine, f.Verdict)
			}
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(verdicts, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(verdicts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("run with UPDATE=1 if this is meant:\n%s", diff)
	}
}
