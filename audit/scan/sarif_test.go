package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestSARIFKeepsGitHubsLimit: over the limit the mildest findings are left
// out, and that is said.
func TestSARIFKeepsGitHubsLimit(t *testing.T) {
	const limit = 50
	r := &Report{Tool: "hardstand 1", Target: "x"}
	for i := range limit + 10 {
		f := Finding{ID: fmt.Sprintf("CVE-2026-%d", i), Rating: Rating{Severity: Low, Score: 2}}
		if i >= limit {
			f.Rating = Rating{Severity: Critical, Score: 9.8}
		}
		r.Findings = append(r.Findings, f)
	}
	data, err := sarif(r, limit)
	if err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	severe := 0
	for _, rule := range run.Tool.Driver.Rules {
		if rule.Properties["security-severity"] == "9.8" {
			severe++
		}
	}
	if len(run.Results) != limit || len(run.Tool.Driver.Rules) != limit || severe != 10 {
		t.Errorf("%d results, %d rules, %d of 10 critical ones", len(run.Results), len(run.Tool.Driver.Rules), severe)
	}
	if n := run.Invocations[0].Notifications; len(n) != 1 || !strings.HasPrefix(n[0].Message.Text, "10 of 60 results are left out") {
		t.Errorf("notifications %v", n)
	}
}

// TestSARIFKeepsGitHubsSize: results are left out, the mildest first, until the
// file is small enough, and long texts are cut.
func TestSARIFKeepsGitHubsSize(t *testing.T) {
	r := &Report{Tool: "hardstand 1", Target: "x"}
	for i := range 64 {
		f := Finding{ID: fmt.Sprintf("CVE-2026-%d", i), Summary: strings.Repeat("ä", 5000), Rating: Rating{Severity: Low, Score: float64(i) / 10}}
		r.Findings = append(r.Findings, f)
	}
	whole, err := limited(r, 64, 10_000_000)
	if err != nil || len(whole) > 64*4096 {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	data, err := limited(r, 64, 2500)
	if err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	n := len(log.Runs[0].Results)
	if n == 0 || n >= 64 || log.Runs[0].Results[0].RuleID != fmt.Sprintf("CVE-2026-%d", 64-n) {
		t.Errorf("%d results, the first %v", n, log.Runs[0].Results[:min(n, 1)])
	}
}
