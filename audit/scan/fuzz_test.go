package scan

import (
	"testing"
	"time"

	"github.com/hardstand/hardstand/audit/scan/inventory"
)

// FuzzVEX reads a document and applies it: what takes a finding away must say
// not affected or fixed, with what that needs.
func FuzzVEX(f *testing.F) {
	f.Add([]byte(`{"@context":"https://openvex.dev/ns/v0.2.0","author":"a","version":1,"timestamp":"2026-11-01T00:00:00Z","statements":[{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:golang/m"}],"status":"not_affected","justification":"component_not_present","expires":"2027-01-01"}]}`))
	f.Add([]byte(`{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{"vulnerability":{"@id":"x/CVE-1"},"products":[{"@id":"image","subcomponents":[{"identifiers":{"purl":"pkg:golang/m@v1"}}]}],"status":"fixed"}]}`))
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadVEX("x", data)
		if err != nil {
			return
		}
		r := &Report{Target: "image", Findings: []Finding{{ID: "CVE-1", Package: inventory.Package{Ecosystem: "Go", Name: "m", Version: "1", PURL: "pkg:golang/m@v1"}}}}
		excuse(r, []Document{d}, now, time.Hour)
		if e := r.Findings[0].VEX; e != nil && e.Holds && !(e.Status == "fixed" || e.Status == "not_affected" && e.Justification != "") {
			t.Errorf("excused by %+v", e)
		}
	})
}

// FuzzFeeds reads anything as a catalogue and as forecasts.
func FuzzFeeds(f *testing.F) {
	f.Add([]byte(`{"vulnerabilities":[{"cveID":"CVE-1","dateAdded":"2026-01-01"}]}`))
	f.Add([]byte("#model_version:v1,score_date:2026-11-22T00:00:00+0000\ncve,epss,percentile\nCVE-1,0.5,0.9\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Feeds
		if s.ReadKEV(data) == nil && len(s.KEV) == 0 {
			t.Error("an empty catalogue is accepted")
		}
		if s.ReadEPSS(data) == nil && len(s.EPSS) == 0 {
			t.Error("empty forecasts are accepted")
		}
	})
}

// FuzzSeverity scores anything as a CVSS vector.
func FuzzSeverity(f *testing.F) {
	f.Add("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
	f.Add("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N")
	f.Add("AV:N/AC:L/Au:N/C:P/I:P/A:P")
	f.Fuzz(func(t *testing.T, vector string) {
		if score, err := vectorScore(vector); err == nil && !(score >= 0 && score <= 10) {
			t.Errorf("%q scores %v", vector, score)
		}
	})
}
