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
