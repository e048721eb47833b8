package corpus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/audittest"
)

// TestFingerprintsSurviveMovedLines puts empty lines in front of every file
// that takes them: a report for GitHub or a baseline must know the findings
// again.
func TestFingerprintsSurviveMovedLines(t *testing.T) {
	cases, err := Load("testdata")
	if err != nil {
		t.Fatal(err)
	}
	prints := func(findings []audit.Finding) []string {
		seen := audit.Fingerprints{}
		var list []string
		for _, f := range findings {
			if f.Broken() {
				list = append(list, f.Rule+" "+seen.Of(f))
			}
		}
		slices.Sort(list)
		return list
	}
	moved := 0
	for _, c := range cases {
		dir := audittest.Unpack(t, c.Path)
		before := auditors[c.Kind](t, dir)
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range names {
			data, err := os.ReadFile(file)
			if err != nil || filepath.Base(file) == "want" || strings.HasPrefix(string(data), "#") || strings.HasPrefix(string(data), "\ufeff") {
				continue // a directory, expectations, or what has to stand first: a directive, a byte order mark
			}
			if err := os.WriteFile(file, append([]byte("\n\n\n"), data...), 0o644); err != nil {
				t.Fatal(err)
			}
			moved++
		}
		if diff := cmp.Diff(prints(before), prints(auditors[c.Kind](t, dir))); diff != "" {
			t.Errorf("%s/%s: %s", c.Kind, c.Name, diff)
		}
	}
	if moved < 40 {
		t.Errorf("%d files were moved, want 40", moved)
	}
}
