package sign

import (
	"strings"
	"testing"
	"time"
)

func TestRequirements(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	scan := func(day, id, score string) string {
		return `{"scanner":{"result":[{"id":"` + id + `","severity":[{"method":"nvd","score":"` + score + `"}]}]},"metadata":{"scanFinishedOn":"` + day + `T00:00:00Z"}}`
	}
	for name, c := range map[string]struct {
		require    string
		predicates []string
		refused    string // part of the reason; empty is accepted
	}{
		"builder":               {"provenance,builder=https://b/1", []string{`{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"https://b/1"}}}`}, ""},
		"builder-other":         {"provenance,builder=https://b/1", []string{`{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"https://b/12"}}}`}, "not by https://b/1"},
		"builder-contradicted":  {"provenance,builder=b", []string{`{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"b"}}}`, `{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"c"}}}`}, "built by c"},
		"source":                {"provenance,source=git+https://g/r", []string{`{"buildDefinition":{"buildType":"x","resolvedDependencies":[{"uri":"git+https://g/r"}]},"runDetails":{"builder":{"id":"b"}}}`}, ""},
		"source-missing":        {"provenance,source=git+https://g/r", []string{`{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"b"}}}`}, "does not list the source"},
		"provenance-empty":      {"provenance", []string{`{}`}, "names no build type"},
		"provenance-not-object": {"provenance", []string{`[]`}, "does not parse"},
		"vulns-none":            {"vulns", []string{`{"scanner":{"result":[]},"metadata":{"scanFinishedOn":"2026-11-22T00:00:00Z"}}`}, ""},
		"vulns-high":            {"vulns", []string{scan("2026-11-22", "CVE-1", "HIGH")}, ""},
		"vulns-critical":        {"vulns", []string{scan("2026-11-22", "CVE-1", "critical")}, "CVE-1"},
		"vulns-cvss":            {"vulns,below=high", []string{scan("2026-11-22", "CVE-1", "7.0")}, "CVE-1"},
		"vulns-cvss-below":      {"vulns,below=high", []string{scan("2026-11-22", "CVE-1", "6.9")}, ""},
		"vulns-odd-score":       {"vulns", []string{scan("2026-11-22", "CVE-1", "spicy")}, "unknown severity"},
		"vulns-unrated":         {"vulns", []string{`{"scanner":{"result":[{"id":"CVE-2"}]},"metadata":{"scanFinishedOn":"2026-11-22T00:00:00Z"}}`}, "CVE-2"},
		"vulns-newest-bad":      {"vulns", []string{scan("2026-11-22", "CVE-1", "critical"), scan("2026-11-01", "CVE-0", "low")}, "CVE-1"},
		"vulns-newest-good":     {"vulns", []string{scan("2026-11-01", "CVE-1", "critical"), scan("2026-11-22", "CVE-0", "low")}, ""},
		"vulns-stale":           {"vulns,age=24h", []string{scan("2026-11-01", "CVE-0", "low")}, "old"},
		"vulns-undated":         {"vulns", []string{`{"scanner":{"result":[]}}`}, "when the scan finished"},
		"spdx":                  {"spdx", []string{`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","versionInfo":"1","checksums":[{}]}]}`}, ""},
		"spdx-as-string":        {"spdx", []string{`"{\"spdxVersion\":\"SPDX-2.3\",\"packages\":[{\"name\":\"a\",\"versionInfo\":\"1\",\"externalRefs\":[{}]}]}"`}, ""},
		"spdx-image-itself":     {"spdx", []string{`{"spdxVersion":"SPDX-2.3","packages":[{"name":"img","primaryPackagePurpose":"CONTAINER"},{"name":"a","versionInfo":"1","checksums":[{}]}]}`}, ""},
		"spdx-empty":            {"spdx", []string{`{"spdxVersion":"SPDX-2.3"}`}, "names no package"},
		"spdx-no-version":       {"spdx", []string{`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","checksums":[{}]}]}`}, "which version of a"},
		"spdx-unidentified":     {"spdx", []string{`{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","versionInfo":"1"}]}`}, "neither a package URL"},
		"spdx-is-cyclonedx":     {"spdx", []string{`{"bomFormat":"CycloneDX"}`}, "not an SPDX"},
		"cyclonedx":             {"cyclonedx", []string{`{"bomFormat":"CycloneDX","components":[{"type":"library","name":"a","version":"1","purl":"pkg:deb/a@1"}]}`}, ""},
		"cyclonedx-empty":       {"cyclonedx", []string{`{"bomFormat":"CycloneDX"}`}, "names no component"},
		"tests-passed":          {"tests", []string{`{"result":"PASSED"}`}, ""},
		"tests-failed":          {"tests", []string{`{"result":"PASSED"}`, `{"result":"FAILED"}`}, "FAILED"},
		"tests-nothing":         {"tests", []string{`{}`}, "not PASSED"},
		"vsa":                   {"vsa", []string{`{"verificationResult":"PASSED"}`}, ""},
		"other-type":            {"https://example.com/x/v1", []string{`{}`}, ""},
		"absent":                {"openvex", nil, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := ParseRequirement(c.require, now)
			if err != nil {
				t.Fatal(err)
			}
			var r Report
			for _, p := range c.predicates {
				r.Attestations = append(r.Attestations, Evidence{PredicateType: q.PredicateType,
					Statement: Statement{PredicateType: q.PredicateType, Predicate: []byte(p)}})
			}
			refusals := r.judgeRequirement(q)
			switch {
			case c.refused == "" && len(refusals) > 0:
				t.Errorf("refused: %s", refusals[0].Reason)
			case c.refused != "" && (len(refusals) != 1 || !strings.Contains(refusals[0].Reason, c.refused)):
				t.Errorf("refusals %+v, want one about %q", refusals, c.refused)
			}
		})
	}
}

func TestParseRequirementRefuses(t *testing.T) {
	for _, text := range []string{"", "sbom", "spdx,x=1", "vulns,below=none", "vulns,below=awful", "vulns,age=soon",
		"provenance,builder", "provenance,builder=", "provenance,builder=a,builder=b", "http://plain.example/x"} {
		if _, err := ParseRequirement(text, time.Time{}); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

// An index may carry an attestation itself, or each of its platforms may.
func TestRequirementOfAnIndex(t *testing.T) {
	q := RequireTests()
	passed := []Evidence{{PredicateType: q.PredicateType, Statement: Statement{Predicate: []byte(`{"result":"PASSED"}`)}}}
	failed := []Evidence{{PredicateType: q.PredicateType, Statement: Statement{Predicate: []byte(`{"result":"FAILED"}`)}}}
	for name, c := range map[string]struct {
		r    Report
		want int
	}{
		"on-the-index":         {Report{Attestations: passed, Platforms: []Report{{}, {}}}, 0},
		"on-every-platform":    {Report{Platforms: []Report{{Attestations: passed}, {Attestations: passed}}}, 0},
		"on-one-platform-only": {Report{Platforms: []Report{{Attestations: passed}, {}}}, 1},
		"bad-on-the-index":     {Report{Attestations: failed, Platforms: []Report{{Attestations: passed}}}, 1},
		"bad-on-a-platform":    {Report{Platforms: []Report{{Attestations: passed}, {Attestations: failed}}}, 1},
		"nowhere":              {Report{Platforms: []Report{{}, {}}}, 2},
	} {
		if got := c.r.judgeRequirement(q); len(got) != c.want {
			t.Errorf("%s: %d refusals, want %d: %+v", name, len(got), c.want, got)
		}
	}
}
