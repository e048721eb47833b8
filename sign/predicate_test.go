package sign

import "testing"

func TestPredicateType(t *testing.T) {
	for name, want := range map[string]string{
		"vulns": PredicateVulns, "vsa": PredicateVSA, "https://example.org/p/v1": "https://example.org/p/v1",
		"vuln": "", "": "", "https://": "", PredicateSignature: "",
	} {
		got, err := PredicateType(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("PredicateType(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestCheckPredicate(t *testing.T) {
	const scan = `{"scanner":{"result":[]},"metadata":{"scanFinishedOn":"2026-01-02T03:04:05Z"}}`
	for _, c := range []struct {
		kind, doc string
		ok        bool
	}{
		{PredicateVulns, scan, true},
		{PredicateVulns, `{"scanner":{}}`, false},
		{PredicateTestResult, `{"result":"FAILED"}`, true},
		{PredicateTestResult, `{"result":"maybe"}`, false},
		{PredicateOpenVEX, `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[{}]}`, true},
		{PredicateOpenVEX, `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`, false},
		{PredicateOpenVEX, `{"@context":"https://example.org","statements":[{}]}`, false},
		{PredicateVSA, `{"verificationResult":"PASSED"}`, true},
		{PredicateVSA, `{}`, false},
		{PredicateSPDX, scan, false},
		{PredicateProvenance, `{"buildDefinition":{"buildType":"t"},"runDetails":{"builder":{"id":"b"}}}`, true},
		{"https://example.org/p", `{"anything":1}`, true},
		{"https://example.org/p", `[]`, false},
		{PredicateVulns, `{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","predicate":` + scan + `}`, false},
	} {
		if err := CheckPredicate(c.kind, []byte(c.doc)); (err == nil) != c.ok {
			t.Errorf("%s %s: %v", c.kind, c.doc, err)
		}
	}
}
