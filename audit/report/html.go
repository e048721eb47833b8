package report

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"html/template"
	"io"

	"github.com/hardstand/hardstand/audit"
)

// The page is one file: style and script are inside, allowed by their hashes,
// and nothing else may be loaded or run.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

type htmlPage struct {
	Report   audit.Report
	CSP      string
	Style    template.CSS
	Script   template.JS
	Verdicts []htmlVerdict
	Names    []string
	Notes    []string
	Findings []htmlFinding
}

type htmlVerdict struct {
	Verdict audit.Verdict
	Count   int
	On      bool
}

type htmlFinding struct {
	Finding                                                         audit.Finding
	Class, Stage, Title, Where, Why                                 string
	Observed, Expected, Needs, Reason, Method, Fix, Excerpt, Waiver string
	Artifact                                                        int
	Open                                                            bool
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
	t, err := template.New("page").Funcs(template.FuncMap{"class": class}).Parse(pageHTML)
	if err != nil {
		return err
	}
	p := htmlPage{
		Report: r, Style: template.CSS(pageCSS), Script: template.JS(pageJS), //nolint:gosec // both are constants of this package
		CSP: "default-src 'none'; style-src " + hashSource(pageCSS) + "; script-src " + hashSource(pageJS) + "; base-uri 'none'; form-action 'none'",
	}
	for _, v := range []audit.Verdict{audit.Fail, audit.Warn, audit.Unknown, audit.Pass, audit.NotApplicable} {
		p.Verdicts = append(p.Verdicts, htmlVerdict{v, r.Summary[v], v != audit.Pass && v != audit.NotApplicable})
	}
	p.Verdicts = append(p.Verdicts, htmlVerdict{"waived", r.Waived, false})
	for _, n := range r.Notes {
		p.Notes = append(p.Notes, visible(n, false))
	}
	p.fill(r)
	return t.Execute(w, p)
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
			i = len(p.Names)
			index[f.Artifact.Name] = i
			p.Names = append(p.Names, visible(f.Artifact.Name, false))
		}
		h := htmlFinding{
			Finding: f, Class: class(f.Verdict), Title: rules[f.Rule].Title, Where: place(f), Why: rules[f.Rule].Why, Artifact: i,
			Observed: visible(f.Observed, false), Expected: visible(f.Expected, false), Needs: visible(f.Needs, false), Reason: visible(f.Reason, false),
			Method: visible(f.Method, false), Excerpt: visible(f.Locator.Excerpt, false), Open: f.Broken() && f.Verdict == audit.Fail,
		}
		if step := audit.StepOf(f.Rule); step != "" {
			h.Stage = step[:1]
		}
		if f.Verdict == audit.Fail || f.Verdict == audit.Warn {
			h.Fix = visible(f.Fix, true)
		}
		if f.Waiver != nil {
			h.Class = "waived"
			h.Waiver = visible(f.Waiver.Reason+" ("+f.Waiver.Source+")", false)
			if f.Waiver.Until != nil {
				h.Waiver += ", until " + f.Waiver.Until.AddDate(0, 0, -1).Format("2006-01-02")
			}
		}
		p.Findings = append(p.Findings, h)
	}
}
