package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// The parts of SARIF 2.1.0 (OASIS, 27 March 2020) that are written here; what
// GitHub requires of them is in its "SARIF support for code scanning".
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool              sarifTool         `json:"tool"`
		Invocations       []sarifInvocation `json:"invocations"`
		Artifacts         []sarifArtifact   `json:"artifacts,omitempty"`
		AutomationDetails sarifID           `json:"automationDetails"`
		ColumnKind        string            `json:"columnKind"`
		Results           []sarifResult     `json:"results"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string         `json:"id"`
		ShortDescription     sarifText      `json:"shortDescription"`
		FullDescription      sarifText      `json:"fullDescription"`
		Help                 sarifHelp      `json:"help"`
		HelpURI              string         `json:"helpUri"`
		DefaultConfiguration sarifConfig    `json:"defaultConfiguration"`
		Properties           map[string]any `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		EndTimeUTC          string              `json:"endTimeUtc"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifArtifact struct {
		Location sarifURI          `json:"location"`
		Hashes   map[string]string `json:"hashes,omitempty"`
	}
	sarifURI struct {
		URI string `json:"uri"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifURI    `json:"artifactLocation"`
		Region   sarifRegion `json:"region"`
	}
	sarifRegion struct {
		StartLine int        `json:"startLine"`
		EndLine   int        `json:"endLine,omitempty"`
		Snippet   *sarifText `json:"snippet,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// docs is where rules are described.
const docs = "https://github.com/hardstand/hardstand/blob/main/docs/rules/"

// securitySeverity is GitHub's number for a severity: over 9 critical, 7 high,
// 4 medium.
var securitySeverity = map[audit.Severity]string{audit.Critical: "9.5", audit.High: "8.0", audit.Medium: "5.5", audit.Low: "2.0"}

// maxResults is how many results GitHub takes in one run.
const maxResults = 25_000

func writeSARIF(w io.Writer, r audit.Report, _ Options) error {
	run := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: "hardstand", Version: r.Tool.Version, InformationURI: "https://github.com/hardstand/hardstand", Rules: []sarifRule{}}},
		Invocations:       []sarifInvocation{{ExecutionSuccessful: true, EndTimeUTC: r.Time.UTC().Format("2006-01-02T15:04:05.000Z")}},
		AutomationDetails: sarifID{fmt.Sprintf("hardstand-audit/rules-%d/", r.RuleSet)},
		ColumnKind:        "utf16CodeUnits",
		Results:           []sarifResult{},
	}
	index := map[string]int{}
	for i, rule := range r.Rules {
		index[rule.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, describeRule(rule))
	}
	for _, a := range r.Artifacts {
		art := sarifArtifact{Location: sarifURI{uri(a.Name)}}
		if a.SHA256 != "" {
			art.Hashes = map[string]string{"sha-256": a.SHA256}
		}
		run.Artifacts = append(run.Artifacts, art)
	}
	note := func(text string) {
		inv := &run.Invocations[0]
		inv.Notifications = append(inv.Notifications, sarifNotification{"note", sarifText{text}})
	}
	seen := audit.Fingerprints{}
	for _, f := range r.Findings {
		if f.Verdict == audit.Unknown && f.Waiver == nil {
			note(fmt.Sprintf("unknown: %s %s: %s", f.Rule, place(f), sentence(f)))
		}
		if f.Verdict != audit.Fail && f.Verdict != audit.Warn || len(run.Results) >= maxResults {
			continue
		}
		i, ok := index[f.Rule]
		if !ok {
			continue
		}
		run.Results = append(run.Results, result(f, i, seen))
	}
	for _, n := range r.Notes {
		note(n)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func describeRule(r audit.Rule) sarifRule {
	step, _ := audit.StepByNumber(r.Step())
	tags := []string{"security", "container", "step-" + r.Step()}
	for _, a := range r.Aliases {
		tags = append(tags, "alias/"+a)
	}
	return sarifRule{
		ID: r.ID, ShortDescription: sarifText{r.Title}, FullDescription: sarifText{r.Why},
		Help: sarifHelp{
			Text:     r.Why + "\nFix: " + r.Fix,
			Markdown: r.Why + "\n\n**Fix:** " + markdown(r.Fix) + "\n\nStep " + r.Step() + " of the guide: " + step.Title,
		},
		HelpURI:              docs + r.ID + ".md",
		DefaultConfiguration: sarifConfig{"error"},
		Properties:           map[string]any{"tags": tags, "security-severity": securitySeverity[r.Severity], "precision": "high", "problem.severity": "error"},
	}
}

func result(f audit.Finding, rule int, seen audit.Fingerprints) sarifResult {
	level := "error"
	if f.Verdict == audit.Warn {
		level = "warning"
	}
	name := f.Locator.Path
	if name == "" {
		name = f.Artifact.Name
	}
	loc := sarifLocation{Physical: sarifPhysical{Artifact: sarifURI{uri(name)}, Region: sarifRegion{StartLine: max(f.Locator.StartLine, 1)}}}
	if f.Locator.EndLine > loc.Physical.Region.StartLine {
		loc.Physical.Region.EndLine = f.Locator.EndLine
	}
	if f.Locator.Excerpt != "" {
		loc.Physical.Region.Snippet = &sarifText{f.Locator.Excerpt}
	}
	for _, l := range []sarifLogical{{f.Locator.Pointer, "object"}, {f.Locator.File, "member"}} {
		if l.Name != "" {
			loc.Logical = append(loc.Logical, l)
		}
	}
	res := sarifResult{
		RuleID: f.Rule, RuleIndex: rule, Level: level, Message: sarifText{visible(sentence(f), false) + ". Fix: " + visible(f.Fix, true)},
		Locations: []sarifLocation{loc}, PartialFingerprints: map[string]string{"primaryLocationLineHash": seen.Of(f)},
	}
	if f.Waiver != nil {
		res.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: visible(f.Waiver.Reason, false)}}
	}
	return res
}

// uri makes a URI reference of a path or an image's name.
func uri(name string) string {
	name = strings.ReplaceAll(name, "\\", "/")
	if strings.HasPrefix(name, "/") {
		return (&url.URL{Scheme: "file", Path: path.Clean(name)}).String()
	}
	var parts []string
	for _, p := range strings.Split(name, "/") {
		if p == "." || p == "" {
			continue
		}
		parts = append(parts, strings.ReplaceAll(url.PathEscape(strings.ToValidUTF8(p, "\uFFFD")), ":", "%3A"))
	}
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, "/")
}
