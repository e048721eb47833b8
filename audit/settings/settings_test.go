package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/internal/deptest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{"github.com/hardstand/hardstand/audit": "findings", "gopkg.in/yaml.v3": "lines of what is wrong"})
}

var rules = []audit.Rule{
	{ID: "CHG-2.3a", Severity: audit.High, Aliases: []string{"DL3006", "DL3007"}},
	{ID: "CHG-2.6a", Severity: audit.High, Aliases: []string{"DL3002", "DS-0002"}},
}

func broken() []audit.Finding {
	a := audit.Artifact{Kind: audit.Dockerfile, Name: "svc/Dockerfile"}
	at := audit.Locator{Path: "svc/Dockerfile", StartLine: 1}
	return []audit.Finding{
		{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: a, Locator: at, Alias: "DL3006"},
		{Rule: "CHG-2.6a", Verdict: audit.Fail, Artifact: a, Locator: at},
		{Rule: "CHG-2.6a", Verdict: audit.Pass, Artifact: a},
	}
}

func TestIgnoresCoverWhatTheyName(t *testing.T) {
	for text, want := range map[string]int{
		"{rule: CHG-2.3a, reason: r}":                          1,
		"{rule: DL3006, reason: r}":                            1,
		"{rule: DL3007, reason: r}":                            0, // this case is not the one DL3007 means
		"{rule: AVD-DS-0002, reason: r}":                       1,
		"{rule: DS002, reason: r}":                             1,
		"{rules: [CHG-2.3a, CHG-2.6a], reason: r}":             2,
		"{rule: CHG-2.6, reason: r}":                           1, // a whole step
		"{rule: CHG-2.6a, path: svc/**, reason: r}":            1,
		"{rule: CHG-2.6a, path: other/**, reason: r}":          0,
		"{rule: CHG-2.6a, path: Dockerfile, reason: r}":        1,
		"{rule: CHG-2.6a, reason: r, until: 2026-11-22}":       1, // holds through the day
		"{rule: CHG-2.6a, reason: r, until: 2026-11-21}":       0,
		"{rule: CHG-2.6a, reason: r, until: 2027-01-01}":       1,
		"{rule: CHG-9.9z, reason: r}":                          0,
		`{rule: CHG-2.6a, path: "svc/Docker*", reason: "a b"}`: 1,
	} {
		s, err := Parse(".hardstand.yaml", []byte("ignore:\n  - "+text+"\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		list := broken()
		notes := s.Apply(list, rules, now)
		got := 0
		for _, f := range list {
			if f.Waiver != nil {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: %d accepted, want %d", text, got, want)
		}
		if noted := strings.Contains(text, "11-21") || strings.Contains(text, "9.9z"); noted != (len(notes) == 1) {
			t.Errorf("%s: notes %q", text, notes)
		}
		if list[2].Waiver != nil {
			t.Errorf("%s: a pass was accepted", text)
		}
	}
}

func TestBrokenSettingsSayWhere(t *testing.T) {
	for text, want := range map[string]string{
		"ignore:\n  - {rule: CHG-2.6a}":                   ":2: the waiver gives no reason",
		"ignore:\n  - {reason: r}":                        "names no rule",
		"ignore:\n  - {rule: a, reason: r, untill: 2027}": "untill",
		"ignore:\n  - {rule: a, reason: r, until: soon}":  "no day like",
		"ignore:\n  - {rule: a, reason: r, path: '['}":    "syntax error",
		"trust: [a]":                           "trust",
		"rules: 99":                            "does not exist",
		"severity: {CHG-2.6a: loud}":           "loud",
		"a: &a [x]\nb: *a":                     "anchors and aliases",
		"trusted: " + strings.Repeat("[", 100): "nested deeper",
		"exclude: ['[']":                       "syntax error",
		strings.Repeat("#", MaxSize+1):         "more than",
	} {
		if _, err := Parse("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", text, err, want)
		}
	}
}

func TestSeveritiesAndHadolint(t *testing.T) {
	s, err := Hadolint(".hadolint.yaml", []byte("ignored: [DL3002]\noverride: {info: [DL3006]}\nfailure-threshold: warning\ntrustedRegistries: [r]\nextra: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	list := broken()
	s.Apply(list, rules, now)
	if list[0].Severity != audit.Low || list[1].Waiver == nil || s.FailOn != "medium" || s.Trusted[0] != "r" {
		t.Errorf("%+v, settings %+v", list[:2], s)
	}
	env := Environment(func(name string) string {
		return map[string]string{"HADOLINT_NOFAIL": "1", "HADOLINT_IGNORE": "DL1,DL2"}[name]
	})
	if env.FailOn != "never" || len(env.Ignore) != 1 || len(env.Ignore[0].IDs) != 2 {
		t.Errorf("%+v", env)
	}
	trivy, err := IgnoreList(".trivyignore", []byte("# why\nAVD-DS-0002 exp:2020-01-01\nDL3006\n"))
	if err != nil || len(trivy.Ignore) != 2 || trivy.Ignore[0].Until == nil {
		t.Errorf("%+v, %v", trivy, err)
	}
}

func TestBaselineAcceptsWhatItKnows(t *testing.T) {
	r := audit.NewReport(audit.Tool{}, 1, now, nil, rules, broken(), nil)
	b := NewBaseline(r)
	if len(b.Findings) != 2 {
		t.Fatalf("%d entries", len(b.Findings))
	}
	list := append(broken(), audit.Finding{Rule: "CHG-2.6a", Verdict: audit.Fail, Observed: "new"})
	audit.SortFindings(list)
	if gone := b.Apply("base.json", list); gone != 0 {
		t.Errorf("%d entries are gone", gone)
	}
	standing := 0
	for _, f := range list {
		if f.Broken() {
			standing++
		}
	}
	if standing != 1 {
		t.Errorf("%d findings stand, want the new one", standing)
	}
	if _, err := ParseBaseline("b", []byte(`{"version": 7}`)); err == nil {
		t.Error("a baseline of another version was read")
	}
}

// A baseline survives what does not change a finding: other lines above it, and
// in an image the digest of the layer.
func TestBaselineSurvivesMoves(t *testing.T) {
	a := audit.Artifact{Kind: audit.Dockerfile, Name: "Dockerfile"}
	at := func(line int, seen string) audit.Finding {
		return audit.Finding{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: a, Locator: audit.Locator{Path: "Dockerfile", StartLine: line}, Observed: seen}
	}
	in := func(layer string) audit.Finding {
		return audit.Finding{Rule: "CHG-2.6a", Verdict: audit.Fail, Locator: audit.Locator{Layer: layer, File: "/bin/su"}, Observed: "set-id"}
	}
	b := NewBaseline(audit.NewReport(audit.Tool{}, 1, now, nil, rules, []audit.Finding{at(3, "CMD, overridden on line 4"), in("sha256:a")}, nil))
	list := []audit.Finding{at(7, "CMD, overridden on line 9"), in("sha256:b")}
	if gone := b.Apply("base.json", list); gone != 0 || list[0].Waiver == nil || list[1].Waiver == nil {
		t.Errorf("%d entries are gone: %+v", gone, list)
	}
	other := []audit.Finding{at(7, "CMD, overridden by another")}
	if gone := b.Apply("base.json", other); gone != 2 || other[0].Waiver != nil {
		t.Errorf("%d entries are gone: %+v", gone, other)
	}
}

func TestMisspeltRulesAreNoted(t *testing.T) {
	s, err := Parse("f.yaml", []byte("ignore:\n  - {rules: [CHG-9.9z, CHG-2.6a, CHG-2.6, DL9999], reason: r}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if notes := s.Apply(broken(), rules, now); len(notes) != 1 || !strings.Contains(notes[0], "CHG-9.9z") {
		t.Errorf("notes %q", notes)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ignore:\n  - {rule: a, reason: b, path: 'x/**'}\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("ignored: [1, {a: b}]\noverride: x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("f", data)
		if err == nil {
			s.Apply(broken(), rules, now)
			for _, ig := range s.Ignore {
				if ig.Reason == "" || len(ig.IDs) == 0 {
					t.Error("a waiver of nothing, or without a reason")
				}
			}
		}
		if h, err := Hadolint("f", data); err == nil {
			h.Apply(broken(), rules, now)
		}
		_, _ = IgnoreList("f", data)
		_, _ = ParseBaseline("f", data)
	})
}
