package report

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// writeGitHub writes workflow commands, which GitHub shows beside the lines.
func writeGitHub(w io.Writer, r audit.Report, _ Options) error {
	b := bufio.NewWriter(w)
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	names := titles(r)
	for _, f := range r.Findings {
		if !f.Broken() {
			continue
		}
		level := "error"
		if f.Verdict == audit.Warn {
			level = "warning"
		}
		where := ""
		if path := f.Locator.Path; path != "" {
			where = "file=" + property.Replace(visible(path, false)) + ","
			if f.Locator.StartLine > 0 {
				where += fmt.Sprintf("line=%d,endLine=%d,", f.Locator.StartLine, max(f.Locator.EndLine, f.Locator.StartLine))
			}
		}
		fmt.Fprintf(b, "::%s %stitle=%s::%s\n", level, where, property.Replace(f.Rule+" "+names[f.Rule]), data.Replace(visible(sentence(f), false)+"\nFix: "+visible(f.Fix, true)))
	}
	return b.Flush()
}

// JUnit's shape is the one that Jenkins and GitLab read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
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
	var out junitSuites
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
		c := junitCase{Name: f.Rule + " " + names[f.Rule] + " " + place(f), Class: visible(f.Artifact.Name, false), File: visible(f.Locator.Path, false), Line: f.Locator.StartLine}
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
			s.Skipped, out.Skipped = s.Skipped+1, out.Skipped+1
		}
		s.Cases = append(s.Cases, c)
	}
	return writeXML(w, out)
}

func writeXML(w io.Writer, v any) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type (
	checkstyle struct {
		XMLName xml.Name         `xml:"checkstyle"`
		Version string           `xml:"version,attr"`
		Files   []checkstyleFile `xml:"file"`
	}
	checkstyleFile struct {
		Name   string            `xml:"name,attr"`
		Errors []checkstyleError `xml:"error"`
	}
	checkstyleError struct {
		Line     int    `xml:"line,attr"`
		Severity string `xml:"severity,attr"`
		Message  string `xml:"message,attr"`
		Source   string `xml:"source,attr"`
	}
)

func writeCheckstyle(w io.Writer, r audit.Report, _ Options) error {
	out := checkstyle{Version: "4.3"}
	index := map[string]int{}
	for _, f := range r.Findings {
		if !f.Broken() {
			continue
		}
		name := f.Locator.Path
		if name == "" {
			name = f.Artifact.Name
		}
		i, ok := index[name]
		if !ok {
			i = len(out.Files)
			index[name] = i
			out.Files = append(out.Files, checkstyleFile{Name: visible(name, false)})
		}
		severity := "error"
		if f.Verdict == audit.Warn {
			severity = "warning"
		}
		out.Files[i].Errors = append(out.Files[i].Errors, checkstyleError{
			Line: max(f.Locator.StartLine, 1), Severity: severity, Message: visible(sentence(f), false), Source: "hardstand." + f.Rule,
		})
	}
	return writeXML(w, out)
}

// codeClimate is one issue of GitLab's code quality report.
type codeClimate struct {
	Description string `json:"description"`
	CheckName   string `json:"check_name"`
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
		} `json:"lines"`
	} `json:"location"`
}

var codeClimateSeverity = map[audit.Severity]string{audit.Critical: "blocker", audit.High: "critical", audit.Medium: "major", audit.Low: "minor"}

func writeCodeClimate(w io.Writer, r audit.Report, _ Options) error {
	list := []codeClimate{}
	seen := audit.Fingerprints{}
	for _, f := range r.Findings {
		if !f.Broken() {
			continue
		}
		c := codeClimate{Description: visible(sentence(f), false), CheckName: f.Rule, Fingerprint: seen.Of(f), Severity: codeClimateSeverity[f.Severity]}
		if f.Verdict == audit.Warn {
			c.Severity = "minor"
		}
		if c.Severity == "" {
			c.Severity = "info"
		}
		c.Location.Path = visible(f.Locator.Path, false)
		if c.Location.Path == "" {
			c.Location.Path = visible(f.Artifact.Name, false)
		}
		c.Location.Lines.Begin = max(f.Locator.StartLine, 1)
		list = append(list, c)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}
