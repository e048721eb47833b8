package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/codescanning"
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
		Tool              sarifTool            `json:"tool"`
		Invocations       []sarifInvocation    `json:"invocations"`
		BaseIDs           map[string]sarifBase `json:"originalUriBaseIds"`
		Artifacts         []sarifArtifact      `json:"artifacts,omitempty"`
		AutomationDetails sarifID              `json:"automationDetails"`
		ColumnKind        string               `json:"columnKind"`
		Results           []sarifResult        `json:"results"`
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
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifBase struct {
		Description sarifText `json:"description"`
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

const (
	maxNotes    = 1000
	sourceRoot  = "%SRCROOT%"
	resultsNote = "%d of %d results are left out, the least severe ones: GitHub takes %d in a file of 10 MB"
)

func writeSARIF(w io.Writer, r audit.Report, _ Options) error {
	return limitedSARIF(w, r, codescanning.MaxResults, codescanning.MaxZipped)
}

// limitedSARIF leaves results out until the file is small enough.
func limitedSARIF(w io.Writer, r audit.Report, results, zipped int) error {
	data, err := codescanning.Limited(len(r.Findings), results, zipped, func(results int) ([]byte, error) { return sarifOf(r, results) })
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func sarifOf(r audit.Report, limit int) ([]byte, error) {
	run := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: "hardstand", Version: r.Tool.Version, InformationURI: "https://github.com/hardstand/hardstand", Rules: []sarifRule{}}},
		Invocations:       []sarifInvocation{{ExecutionSuccessful: true, EndTimeUTC: r.Time.UTC().Format("2006-01-02T15:04:05.000Z")}},
		BaseIDs:           map[string]sarifBase{sourceRoot: {sarifText{"The root of the repository, from which the audit was run."}}},
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
		art := sarifArtifact{Location: artifactURI(a, a.Name)}
		if a.SHA256 != "" {
			art.Hashes = map[string]string{"sha-256": a.SHA256}
		}
		run.Artifacts = append(run.Artifacts, art)
	}
	shown, left := severest(r.Findings, index, limit)
	seen := audit.Fingerprints{}
	for _, f := range shown {
		run.Results = append(run.Results, result(f, index[f.Rule], seen))
	}
	run.Invocations[0].Notifications = notifications(r, len(shown), left)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	err := enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
	return b.Bytes(), err
}

// severest returns what becomes a result, in order: failures and warnings of
// known rules. Over the limit the least severe are left out: accepted ones
// first, then warnings, then by severity.
func severest(list []audit.Finding, index map[string]int, limit int) (shown []audit.Finding, left int) {
	for _, f := range list {
		if _, ok := index[f.Rule]; ok && (f.Verdict == audit.Fail || f.Verdict == audit.Warn) {
			shown = append(shown, f)
		}
	}
	if len(shown) <= limit {
		return shown, 0
	}
	rank := func(f audit.Finding) int {
		n := f.Severity.Rank()
		if f.Verdict == audit.Fail {
			n += 100
		}
		if f.Waiver == nil {
			n += 1000
		}
		return n
	}
	order := make([]int, len(shown))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rank(shown[b]) - rank(shown[a]) })
	order = order[:limit]
	slices.Sort(order)
	kept := make([]audit.Finding, limit)
	for i, n := range order {
		kept[i] = shown[n]
	}
	return kept, len(shown) - limit
}

// notifications say what is no result: how much was left out, what is unknown,
// and the notes.
func notifications(r audit.Report, shown, left int) []sarifNotification {
	var list []sarifNotification
	if left > 0 {
		list = append(list, sarifNotification{"warning", sarifText{fmt.Sprintf(resultsNote, left, shown+left, codescanning.MaxResults)}})
	}
	var texts []string
	for _, f := range r.Findings {
		if f.Verdict == audit.Unknown && f.Waiver == nil {
			texts = append(texts, fmt.Sprintf("unknown: %s %s: %s", f.Rule, place(f), sentence(f)))
		}
	}
	texts = append(texts, r.Notes...)
	for i, text := range texts {
		if i == maxNotes {
			list = append(list, sarifNotification{"note", sarifText{fmt.Sprintf("%d more are in the other formats", len(texts)-i)}})
			break
		}
		list = append(list, sarifNotification{"note", sarifText{codescanning.Clip(text, codescanning.MaxText)}})
	}
	return list
}

func describeRule(r audit.Rule) sarifRule {
	step, _ := audit.StepByNumber(r.Step())
	tags := []string{"security", "container", "step-" + r.Step()}
	for _, a := range r.Aliases {
		tags = append(tags, "alias/"+a)
	}
	tags = tags[:min(len(tags), codescanning.MaxTags)]
	return sarifRule{
		ID: r.ID, ShortDescription: sarifText{codescanning.Clip(r.Title, codescanning.MaxText)}, FullDescription: sarifText{codescanning.Clip(r.Why, codescanning.MaxText)},
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
	loc := sarifLocation{Physical: sarifPhysical{Artifact: artifactURI(f.Artifact, name), Region: sarifRegion{StartLine: max(f.Locator.StartLine, 1)}}}
	if f.Locator.EndLine > loc.Physical.Region.StartLine {
		loc.Physical.Region.EndLine = f.Locator.EndLine
	}
	if f.Locator.Excerpt != "" {
		loc.Physical.Region.Snippet = &sarifText{codescanning.Clip(f.Locator.Excerpt, codescanning.MaxText)}
	}
	for _, l := range []sarifLogical{{f.Locator.Pointer, "object"}, {f.Locator.File, "member"}} {
		if l.Name != "" {
			loc.Logical = append(loc.Logical, l)
		}
	}
	res := sarifResult{
		RuleID: f.Rule, RuleIndex: rule, Level: level, Message: sarifText{codescanning.Clip(visible(sentence(f), false)+". Fix: "+visible(f.Fix, true), codescanning.MaxMessage)},
		Locations: []sarifLocation{loc}, PartialFingerprints: map[string]string{"primaryLocationLineHash": seen.Of(f)},
	}
	if f.Waiver != nil {
		res.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: visible(f.Waiver.Reason, false)}}
	}
	return res
}

// artifactURI says where a file is: relative to the root of the repository, so
// that GitHub finds it. Images are in no repository.
func artifactURI(a audit.Artifact, name string) sarifURI {
	u := sarifURI{URI: uri(name)}
	if a.Kind != audit.Image && !strings.HasPrefix(u.URI, "file:") {
		u.Base = sourceRoot
	}
	return u
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
