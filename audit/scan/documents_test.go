package scan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit/scan"
)

// TestFeedsWithByteOrderMark reads what PowerShell wrote.
func TestFeedsWithByteOrderMark(t *testing.T) {
	var feeds scan.Feeds
	if err := feeds.ReadKEV([]byte("\ufeff" + `{"count":1,"vulnerabilities":[{"cveID":"CVE-2026-11"}]}`)); err != nil || len(feeds.KEV) != 1 {
		t.Errorf("%v: %v", feeds.KEV, err)
	}
	if err := feeds.ReadEPSS([]byte("\ufeff#model,score_date:2026-11-22\r\ncve,epss,percentile\r\nCVE-2026-11,0.5,0.9\r\n")); err != nil || len(feeds.EPSS) != 1 {
		t.Errorf("%v: %v", feeds.EPSS, err)
	}
	if _, err := scan.ReadVEX("x", []byte("\ufeff"+`{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`)); err != nil {
		t.Error(err)
	}
}

// TestFeedsSayTheirAge keeps a gate with an old catalogue from looking new.
func TestFeedsSayTheirAge(t *testing.T) {
	in := input(t, scan.Gate{KEV: true})
	date := func(d time.Duration) string { return in.Now.Add(d).UTC().Format(time.RFC3339) }
	for _, c := range [][2]string{{date(-400 * 24 * time.Hour), ", 400 days old"}, {date(48 * time.Hour), "in the future"}, {"", "without a date"}} {
		member := ""
		if c[0] != "" {
			member = `"dateReleased":"` + c[0] + `",`
		}
		if err := in.Feeds.ReadKEV([]byte(`{` + member + `"vulnerabilities":[{"cveID":"CVE-2026-11"}]}`)); err != nil {
			t.Fatal(err)
		}
		if notes := strings.Join(scan.Assemble(in).Notes, "\n"); !strings.Contains(notes, c[1]) {
			t.Errorf("%q: want %q", notes, c[1])
		}
	}
}

// TestNewerVEXOfOnePlaceEndsAnExcuse has a flaw in two packages: an old
// statement excuses both, a newer one takes one of them back.
func TestNewerVEXOfOnePlaceEndsAnExcuse(t *testing.T) {
	const both = `{"@id":"pkg:golang/example.org/yaml"},{"@id":"pkg:golang/example.org/copy"}`
	const one = `{"@id":"pkg:golang/example.org/copy"}`
	const not = `"status":"not_affected","justification":"vulnerable_code_not_present"`
	for name, c := range map[string]struct {
		newer string
		holds bool
	}{
		"affected":            {`"status":"affected","action_statement":"update"`, false},
		"under-investigation": {`"status":"under_investigation"`, false},
		"not-affected":        {not, true}, // about half of it: the older one, about all, holds
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, scan.Gate{Severity: scan.High})
			for i := range in.Findings {
				if f := &in.Findings[i]; f.ID == "CVE-2026-41" {
					other := f.Package
					other.PURL = "pkg:golang/example.org/copy@v1.0.0"
					f.Others = append(f.Others, other)
				}
			}
			in.VEX = []scan.Document{vexDoc(t, one, c.newer+`,"timestamp":"2026-11-02T00:00:00Z"`), vexDoc(t, both, not)}
			for _, f := range scan.Assemble(in).Findings {
				if f.ID == "CVE-2026-41" && f.Excused() != c.holds {
					t.Errorf("excused is %v by %+v", f.Excused(), f.VEX)
				}
			}
		})
	}
}
