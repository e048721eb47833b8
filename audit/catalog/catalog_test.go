package catalog_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
	"github.com/hardstand/hardstand/audit/catalog"
)

func TestRulesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range catalog.Rules() {
		if seen[r.ID] {
			t.Errorf("%s stands in two packages", r.ID)
		}
		seen[r.ID] = true
		for _, fault := range audittest.Faults(r) {
			t.Errorf("%s: %s", r.ID, fault)
		}
	}
	if len(audit.Steps) != 21 {
		t.Errorf("%d steps, the guide has 21", len(audit.Steps))
	}
}

// TestPagesAreUpToDate compares docs/rules with the rules; make docs writes it.
func TestPagesAreUpToDate(t *testing.T) {
	dir := "../../docs/rules"
	pages := catalog.Pages()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok {
			t.Errorf("docs/rules/%s belongs to no rule: run make docs", e.Name())
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v: run make docs", err)
			continue
		}
		if diff := cmp.Diff(string(got), want); diff != "" {
			t.Errorf("docs/rules/%s is out of date (run make docs):\n%s", name, diff)
		}
	}
}

// TestEveryCellHasARule proves that no step can be seen in an artefact in
// which nobody looks.
func TestEveryCellHasARule(t *testing.T) {
	cells := catalog.Cells(catalog.Rules())
	if len(cells) < 60 {
		t.Fatalf("%d cells", len(cells))
	}
	for _, c := range cells {
		if len(c.Rules) == 0 {
			t.Errorf("step %s is not looked for in %s", c.Step.Number, c.Kind.Label())
		}
	}
}
