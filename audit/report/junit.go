package report

import (
	"encoding/xml"
	"io"

	"github.com/hardstand/hardstand/audit"
)

// JUnit's shape is the one that Jenkins' plugins accept with their schema
// junit-10, and that GitLab and others read. A finding's place is in the name
// of its case: that schema has no attributes for it.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"` // none: what could not be judged is skipped
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, r audit.Report, _ Options) error {
	out := junitSuites{Name: "hardstand audit"}
	names := titles(r)
	index := map[string]int{}
	for _, f := range r.Findings {
		i, ok := index[f.Artifact.Name]
		if !ok {
			i = len(out.Suites)
			index[f.Artifact.Name] = i
			out.Suites = append(out.Suites, junitSuite{Name: visible(f.Artifact.Name, false), Time: r.Time.Format("2006-01-02T15:04:05")})
		}
		s := &out.Suites[i]
		c := junitCase{Name: f.Rule + " " + names[f.Rule] + " " + place(f), Class: visible(f.Artifact.Name, false)}
		text := visible(sentence(f), false)
		switch {
		case f.Waiver != nil:
			c.Skipped = &junitMessage{Message: "waived: " + visible(f.Waiver.Reason, false)}
		case f.Verdict == audit.Fail:
			c.Failure = &junitMessage{Message: text, Type: string(f.Severity), Text: "Fix: " + visible(f.Fix, true)}
		case f.Verdict == audit.Warn:
			c.Out = "warning: " + text + "\nFix: " + visible(f.Fix, true)
		case f.Verdict != audit.Pass:
			c.Skipped = &junitMessage{Message: string(f.Verdict) + ": " + text}
		}
		s.Tests, out.Tests = s.Tests+1, out.Tests+1
		if c.Failure != nil {
			s.Failures, out.Failures = s.Failures+1, out.Failures+1
		}
		if c.Skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	return writeXML(w, out)
}
