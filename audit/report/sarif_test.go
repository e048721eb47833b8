package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/codescanning"
)

// many is a report of findings in one file: the severest come last.
func many(low, accepted, critical int) audit.Report {
	rules := []audit.Rule{
		{ID: "CHG-2.3a", Title: strings.Repeat("é", 2000), Severity: audit.Low, Since: 1, Why: strings.Repeat("w", 2000), Aliases: slices.Repeat([]string{"alias"}, 30)},
		{ID: "CHG-2.6a", Title: "t", Severity: audit.Critical, Since: 1, Why: "w"},
	}
	source := rand.New(rand.NewPCG(1, 2))
	df := audit.Artifact{Kind: audit.Dockerfile, Name: "Dockerfile"}
	var list []audit.Finding
	for i := range low + accepted + critical {
		f := audit.Finding{Rule: "CHG-2.3a", Verdict: audit.Fail, Artifact: df, Observed: fmt.Sprintf("%x", source.Uint64()), Locator: audit.Locator{Path: df.Name, StartLine: i + 1}}
		switch {
		case i >= low+accepted:
			f.Rule = "CHG-2.6a"
		case i >= low:
			f.Waiver = &audit.Waiver{Reason: "r", Source: "s"}
		}
		list = append(list, f)
	}
	return audit.NewReport(audit.Tool{Name: "hardstand", Version: "1"}, 1, time.Unix(0, 0), []audit.Artifact{df}, rules, list, nil)
}

func readSARIF(t *testing.T, data []byte) sarifRun {
	t.Helper()
	var log sarifLog
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	return log.Runs[0]
}

// TestSARIFKeepsGitHubsLimits: what exceeds them is left out from the mildest
// on, and said.
func TestSARIFKeepsGitHubsLimits(t *testing.T) {
	var b bytes.Buffer
	if err := limitedSARIF(&b, many(90, 30, 20), 100, codescanning.MaxZipped); err != nil {
		t.Fatal(err)
	}
	run := readSARIF(t, b.Bytes())
	critical, accepted := 0, 0
	for _, r := range run.Results {
		if r.RuleID == "CHG-2.6a" {
			critical++
		}
		if len(r.Suppressions) > 0 {
			accepted++
		}
	}
	if len(run.Results) != 100 || critical != 20 || accepted != 0 {
		t.Errorf("%d results, %d critical, %d accepted; want 100, all 20 and none", len(run.Results), critical, accepted)
	}
	if n := run.Invocations[0].Notifications; len(n) != 1 || !strings.HasPrefix(n[0].Message.Text, "40 of 140 results are left out") {
		t.Errorf("notifications %+v", n)
	}
	for _, r := range run.Tool.Driver.Rules {
		tags := r.Properties["tags"].([]any)
		if len(tags) > 20 || utf8.RuneCountInString(r.ShortDescription.Text) > 1024 || utf8.RuneCountInString(r.FullDescription.Text) > 1024 {
			t.Errorf("rule %s: %d tags, %d and %d characters", r.ID, len(tags), utf8.RuneCountInString(r.ShortDescription.Text), utf8.RuneCountInString(r.FullDescription.Text))
		}
	}
	if run := readSARIF(t, []byte(render(t, "sarif", many(3, 0, 0), Options{}))); len(run.Results) != 3 || len(run.Invocations[0].Notifications) != 0 {
		t.Errorf("%d results, %v", len(run.Results), run.Invocations[0].Notifications)
	}
}

func TestSARIFKeepsItsSize(t *testing.T) {
	const limit = 10_000
	var b bytes.Buffer
	if err := limitedSARIF(&b, many(500, 0, 10), codescanning.MaxResults, limit); err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	run := readSARIF(t, b.Bytes())
	if zipped.Len() > limit || len(run.Results) < 30 || len(run.Invocations[0].Notifications) != 1 {
		t.Errorf("%d bytes after gzip, %d results, %v", zipped.Len(), len(run.Results), run.Invocations[0].Notifications)
	}
	critical := 0
	for _, r := range run.Results {
		if r.RuleID == "CHG-2.6a" {
			critical++
		}
	}
	if critical != 10 {
		t.Errorf("%d of 10 critical results are left", critical)
	}
}

// TestFingerprintsStay: findings that moved are the same ones, and those that
// say something else are not.
func TestFingerprintsStay(t *testing.T) {
	prints := func(change func(*audit.Finding)) (list []string) {
		r := sample()
		for i := range r.Findings {
			change(&r.Findings[i])
		}
		for _, res := range readSARIF(t, []byte(render(t, "sarif", r, Options{}))).Results {
			list = append(list, res.PartialFingerprints["primaryLocationLineHash"])
		}
		return list
	}
	before := prints(func(*audit.Finding) {})
	if moved := prints(func(f *audit.Finding) { f.Locator.StartLine += 7; f.Locator.EndLine += 7 }); !slices.Equal(before, moved) {
		t.Errorf("moved by seven lines: %v was %v", moved, before)
	}
	if other := prints(func(f *audit.Finding) { f.Observed += "x" }); slices.Equal(before, other) {
		t.Error("findings about something else have the same fingerprints")
	}
}

func TestSARIFPlaces(t *testing.T) {
	for _, tt := range []struct {
		artifact audit.Artifact
		want     sarifURI
	}{
		{audit.Artifact{Kind: audit.Dockerfile, Name: "./a b/Dockerfile"}, sarifURI{"a%20b/Dockerfile", "%SRCROOT%"}},
		{audit.Artifact{Kind: audit.Dockerfile, Name: "/srv/Dockerfile"}, sarifURI{"file:///srv/Dockerfile", ""}},
		{audit.Artifact{Kind: audit.Image, Name: "registry.example:5000/a:1"}, sarifURI{"registry.example%3A5000/a%3A1", ""}},
	} {
		if got := artifactURI(tt.artifact, tt.artifact.Name); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.artifact.Name, got, tt.want)
		}
	}
}
