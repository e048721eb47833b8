package scan

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hardstand/hardstand/audit/codescanning"
)

// The part of SARIF 2.1.0 that results need.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool struct {
			Driver sarifDriver `json:"driver"`
		} `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri,omitempty"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string       `json:"level"`
		Message sarifMessage `json:"message"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Short      sarifMessage   `json:"shortDescription"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Properties map[string]any `json:"properties"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		Level        string             `json:"level"`
		Message      sarifMessage       `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
	}
)

// SARIF writes a report as SARIF 2.1.0. Excused findings are suppressed
// results, and problems make the invocation unsuccessful.
func SARIF(r *Report) ([]byte, error) {
	return limited(r, codescanning.MaxResults, codescanning.MaxZipped)
}

// limited leaves results out until the file is small enough for GitHub.
func limited(r *Report, results, zipped int) ([]byte, error) {
	return codescanning.Limited(len(r.Findings), results, zipped, func(results int) ([]byte, error) { return sarif(r, results) })
}

func sarif(r *Report, limit int) ([]byte, error) {
	name, version, _ := strings.Cut(r.Tool, " ")
	var run sarifRun
	run.Tool.Driver = sarifDriver{Name: name, Version: version, Rules: []sarifRule{}}
	run.Results = []sarifResult{}
	call := sarifInvocation{Successful: len(r.Problems) == 0}
	for _, p := range r.Problems {
		call.Notifications = append(call.Notifications, sarifNotification{"error", sarifMessage{codescanning.Clip(p, codescanning.MaxText)}})
	}
	run.Invocations = []sarifInvocation{call}
	known := map[string]bool{}
	shown := severest(r.Findings, limit)
	if left := len(r.Findings) - len(shown); left > 0 {
		run.Invocations[0].Notifications = append(run.Invocations[0].Notifications, sarifNotification{"warning", sarifMessage{
			fmt.Sprintf("%d of %d results are left out, the least severe ones: GitHub takes %d in a file of 10 MB", left, len(r.Findings), codescanning.MaxResults)}})
	}
	for _, f := range shown {
		if !known[f.ID] {
			known[f.ID] = true
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule(f))
		}
		run.Results = append(run.Results, result(r, f))
	}
	data, err := json.MarshalIndent(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write SARIF: %w", err)
	}
	return append(data, '\n'), nil
}

// severest returns at most limit findings in their order. What refuses stays
// first, then what nobody excused, then by severity.
func severest(list []Finding, limit int) []*Finding {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	if len(list) > limit {
		rank := func(f *Finding) float64 {
			n := score(f)
			if len(f.Refused) > 0 {
				n += 200
			}
			if !f.Excused() {
				n += 100
			}
			return n
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank(&list[b]), rank(&list[a])) })
		order = order[:limit]
		slices.Sort(order)
	}
	kept := make([]*Finding, len(order))
	for i, n := range order {
		kept[i] = &list[n]
	}
	return kept
}

// score is the finding's base score, or one of its severity.
func score(f *Finding) float64 {
	if f.Rating.Score != 0 {
		return f.Rating.Score
	}
	return map[Severity]float64{Critical: 9.5, High: 8, Medium: 5.5, Low: 2}[f.effective()]
}

func rule(f *Finding) sarifRule {
	text := f.Summary
	if text == "" {
		text = f.ID + " in " + f.Package.Name
	}
	return sarifRule{ID: f.ID, Short: sarifMessage{codescanning.Clip(text, codescanning.MaxText)}, HelpURI: "https://osv.dev/vulnerability/" + f.ID, Properties: map[string]any{
		"security-severity": strconv.FormatFloat(score(f), 'f', 1, 64), "tags": []string{"security", "vulnerability"},
	}}
}

func result(r *Report, f *Finding) sarifResult {
	level := "warning"
	if len(f.Refused) > 0 {
		level = "error"
	} else if f.Excused() || f.Rating.Severity == Negligible || f.Rating.Severity == Low {
		level = "note"
	}
	sum := sha256.Sum256([]byte(f.ID + "\x00" + f.Package.Ecosystem + "\x00" + f.Package.Name + "\x00" + f.Package.Path))
	out := sarifResult{RuleID: f.ID, Level: level, Message: sarifMessage{codescanning.Clip(sentence(f), codescanning.MaxMessage)}, Fingerprints: map[string]string{"vulnerability/v1": fmt.Sprintf("%x", sum[:16])}}
	var at sarifLocation
	at.Physical.Artifact.URI = uri(f.Package.Path, r.Target)
	at.Physical.Region.StartLine = 1
	out.Locations = []sarifLocation{at}
	if f.Excused() {
		out.Suppressions = []sarifSuppression{{"external", excuseText(f)}}
	}
	return out
}

// uri makes a relative reference of a path, or of the target where there is
// none.
func uri(path, target string) string {
	if path == "" {
		path = target
	}
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/.-_~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return strings.TrimPrefix(b.String(), "/")
}

// sentence says a finding in one line.
func sentence(f *Finding) string {
	text := fmt.Sprintf("%s %s (%s): %s", f.Package.Installed(), f.Package.InstalledVersion(), f.Package.Ecosystem, f.ID)
	if f.Fixed != "" {
		text += fmt.Sprintf("; fixed in %s %s", f.Package.Name, f.Fixed)
	} else {
		text += "; no fix is known"
	}
	return text
}

func excuseText(f *Finding) string {
	if f.Reach != nil && !f.Reach.Affected {
		return f.Reach.Justification + ": " + f.Reach.Evidence
	}
	return strings.TrimSuffix(f.VEX.Justification+": "+f.VEX.Document, ": ")
}
