package report

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"io"

	"github.com/hardstand/hardstand/audit"
)

// The page is one file: style and script are inside, allowed by their hashes,
// and nothing else may be loaded or run.
var (
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// htmlPage is what the page shows, made fit to be read. Nothing in it is
// markup: the page's writer escapes every text and attribute.
type htmlPage struct {
	report   audit.Report
	names    []string // of artefacts
	findings []htmlFinding
}

type htmlFinding struct {
	finding                                                         audit.Finding
	class, stage, title, where, why                                 string
	observed, expected, needs, reason, method, fix, excerpt, waiver string
	artifact                                                        int
	open                                                            bool
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// class is a verdict as a name in a style sheet.
func class(v audit.Verdict) string {
	if v == audit.NotApplicable {
		return "na"
	}
	return string(v)
}

func writeHTML(w io.Writer, r audit.Report, _ Options) error {
	p := htmlPage{report: r}
	p.fill(r)
	return p.node().Render(w)
}

func (p *htmlPage) fill(r audit.Report) {
	rules := map[string]audit.Rule{}
	for _, rule := range r.Rules {
		rules[rule.ID] = rule
	}
	index := map[string]int{}
	for _, f := range r.Findings {
		i, ok := index[f.Artifact.Name]
		if !ok {
			i = len(p.names)
			index[f.Artifact.Name] = i
			p.names = append(p.names, visible(f.Artifact.Name, false))
		}
		h := htmlFinding{
			finding: f, class: class(f.Verdict), title: rules[f.Rule].Title, where: place(f), why: rules[f.Rule].Why, artifact: i,
			observed: visible(f.Observed, false), expected: visible(f.Expected, false), needs: visible(f.Needs, false), reason: visible(f.Reason, false),
			method: visible(f.Method, false), excerpt: visible(f.Locator.Excerpt, false), open: f.Broken() && f.Verdict == audit.Fail,
		}
		if step := audit.StepOf(f.Rule); step != "" {
			h.stage = step[:1]
		}
		if f.Verdict == audit.Fail || f.Verdict == audit.Warn {
			h.fix = visible(f.Fix, true)
		}
		if f.Waiver != nil {
			h.class = "waived"
			h.waiver = visible(f.Waiver.Reason+" ("+f.Waiver.Source+")", false)
			if f.Waiver.Until != nil {
				h.waiver += ", until " + f.Waiver.Until.AddDate(0, 0, -1).Format("2006-01-02")
			}
		}
		p.findings = append(p.findings, h)
	}
}
