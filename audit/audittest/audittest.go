// Package audittest proves, for a package of rules, that every rule is listed,
// described and exercised. Tests only.
package audittest

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/hardstand/hardstand/audit"
)

// Package is what Check looks at.
type Package struct {
	Rules []audit.Rule
	// Letters are the letters of rule ids that the package may use in steps it
	// shares with others, for example "a-h".
	Letters string
	// Audit judges the fixture whose files lie in dir.
	Audit func(t *testing.T, dir string) []audit.Finding
}

// Check expects, in the directory of the calling test, for each rule CHG-x.yz
// the file rule_x_yz.go and in testdata/CHG-x.yz at least one fixture whose
// name begins with pass and one whose name begins with fail. A fixture is a
// directory, or a txtar file, which is unpacked. In a pass fixture the rule
// must have passed and broken nowhere; in a fail fixture it must have failed
// or warned. Fixtures that begin with unknown or na are checked likewise.
func Check(t *testing.T, p Package) {
	t.Helper()
	if len(p.Rules) == 0 {
		t.Fatal("the package lists no rules")
	}
	t.Run("files", func(t *testing.T) { checkFiles(t, p.Rules) })
	for _, r := range p.Rules {
		t.Run(r.ID, func(t *testing.T) {
			for _, fault := range Faults(r) {
				t.Error(fault)
			}
			if step := r.Step(); step != "1.1" && step != "1.2" && !within(p.Letters, r.ID[len(r.ID)-1]) {
				t.Errorf("the letter of %s is outside %s", r.ID, p.Letters)
			}
			fixtures(t, p, r)
		})
	}
}

func within(letters string, c byte) bool {
	from, to, ok := strings.Cut(letters, "-")
	return ok && from[0] <= c && c <= to[0]
}

// Faults lists what is missing from a rule's description.
func Faults(r audit.Rule) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	step, ok := audit.StepByNumber(r.Step())
	if !ok {
		add("%q names no step of the guide", r.ID)
	}
	for name, text := range map[string]string{"Title": r.Title, "Why": r.Why, "Fix": r.Fix, "Evidence": r.Evidence} {
		if strings.TrimSpace(text) == "" {
			add("%s is empty", name)
		}
	}
	if strings.HasSuffix(r.Title, ".") {
		add("the title ends with a full stop")
	}
	if r.Severity.Rank() == 0 {
		add("%q is no severity", r.Severity)
	}
	if r.Since < 1 || r.Since > audit.RuleSet {
		add("Since is %d, outside 1 to %d", r.Since, audit.RuleSet)
	}
	if len(r.Kinds) == 0 {
		add("the rule reads no artefact")
	}
	for _, k := range r.Kinds {
		if !slices.Contains(audit.Kinds, k) {
			add("%q is no kind of artefact", k)
		}
		if ok && !slices.Contains(step.Kinds, k) {
			add("step %s is not looked for in %s: add the kind to audit.Steps", step.Number, k)
		}
	}
	return list
}

var ruleFile = regexp.MustCompile(`^rule_(\d)_(\d)([a-z])\.go$`)

func checkFiles(t *testing.T, rules []audit.Rule) {
	files, err := filepath.Glob("rule_*.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, r := range rules {
		if listed[r.ID] {
			t.Errorf("%s is listed twice", r.ID)
		}
		listed[r.ID] = true
	}
	found := map[string]bool{}
	for _, file := range files {
		m := ruleFile.FindStringSubmatch(file)
		if m == nil {
			t.Errorf("%s: a rule's file is called rule_2_6a.go", file)
			continue
		}
		id := fmt.Sprintf("CHG-%s.%s%s", m[1], m[2], m[3])
		found[id] = true
		if !listed[id] {
			t.Errorf("%s is not listed in Rules()", file)
		}
	}
	for id := range listed {
		if !found[id] {
			t.Errorf("%s has no file of its own", id)
		}
	}
	dirs, err := filepath.Glob("testdata/CHG-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !listed[filepath.Base(dir)] {
			t.Errorf("%s belongs to no rule", dir)
		}
	}
}

func fixtures(t *testing.T, p Package, r audit.Rule) {
	entries, err := os.ReadDir(filepath.Join("testdata", r.ID))
	if err != nil {
		t.Fatalf("no fixtures: %v", err)
	}
	seen := map[string]int{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".txtar")
		want := ""
		for _, prefix := range []string{"pass", "fail", "unknown", "na"} {
			if strings.HasPrefix(name, prefix) {
				want = prefix
			}
		}
		if want == "" {
			t.Errorf("%s: a fixture's name begins with pass, fail, unknown or na", e.Name())
			continue
		}
		seen[want]++
		t.Run(name, func(t *testing.T) {
			dir := Unpack(t, filepath.Join("testdata", r.ID, e.Name()))
			judge(t, want, r, p.Audit(t, dir))
		})
	}
	if seen["pass"] == 0 || seen["fail"] == 0 {
		t.Errorf("%d passing and %d failing fixtures, want one of each", seen["pass"], seen["fail"])
	}
}

// judge compares the verdicts of one rule with what the fixture says.
func judge(t *testing.T, want string, r audit.Rule, findings []audit.Finding) {
	t.Helper()
	count := map[audit.Verdict]int{}
	for _, f := range findings {
		for _, fault := range FindingFaults(f) {
			t.Errorf("%s: %s", f.Rule, fault)
		}
		if f.Rule == r.ID {
			count[f.Verdict]++
			if f.Broken() && want != "fail" {
				t.Errorf("%s at %+v: %s", f.Verdict, f.Locator, f.Observed)
			}
			if !slices.Contains(r.Kinds, f.Artifact.Kind) {
				t.Errorf("a finding about %s, which the rule does not claim to read", f.Artifact.Kind)
			}
		}
	}
	ok := false
	switch want {
	case "pass":
		ok = count[audit.Pass] > 0
	case "fail":
		ok = count[audit.Fail]+count[audit.Warn] > 0
	case "unknown":
		ok = count[audit.Unknown] > 0
	case "na":
		ok = count[audit.NotApplicable] > 0
	}
	if !ok {
		t.Errorf("verdicts %v, want %s", count, want)
	}
}

// FindingFaults lists what is missing from a finding.
func FindingFaults(f audit.Finding) []string {
	var list []string
	if f.Artifact.Kind == "" || f.Artifact.Name == "" {
		list = append(list, "the finding names no artefact")
	}
	if !slices.Contains(audit.Verdicts, f.Verdict) {
		list = append(list, fmt.Sprintf("%q is no verdict", f.Verdict))
	}
	if f.Verdict == audit.Unknown && f.Needs == "" {
		list = append(list, "an unknown that does not say what it needs")
	}
	if f.Verdict == audit.NotApplicable && f.Reason == "" {
		list = append(list, "not applicable without a reason")
	}
	if (f.Verdict == audit.Fail || f.Verdict == audit.Warn) && (f.Observed == "" || f.Expected == "" || f.Method == "") {
		list = append(list, fmt.Sprintf("a broken rule needs observed, expected and method: %+v", f))
	}
	if f.Locator.EndLine != 0 && f.Locator.EndLine < f.Locator.StartLine {
		list = append(list, "the locator ends before it starts")
	}
	return list
}

// Unpack returns a directory with the files of a fixture: the fixture itself,
// or a temporary directory with what a txtar file holds. A file whose name
// ends in "/" is an empty directory.
func Unpack(t *testing.T, fixture string) string {
	t.Helper()
	if !strings.HasSuffix(fixture, ".txtar") {
		return fixture
	}
	archive, err := txtar.ParseFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if strings.HasSuffix(f.Name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Sparse is a tar archive of one file that is nothing but a hole of so many
// bytes, in the older GNU form, which archive/tar reads and does not write.
func Sparse(t testing.TB, name string, size int64) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head := buf.Bytes()[:512]
	head[156] = tar.TypeGNUSparse
	// The real size, in base 256 as it may not fit in octal digits.
	head[483] = 0x80
	binary.BigEndian.PutUint64(head[487:], uint64(size))
	copy(head[148:156], "        ")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return buf.Bytes()
}
