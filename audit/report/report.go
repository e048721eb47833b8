// Package report writes an audit.Report in the formats that people and
// machines read. Everything in a report may come from a hostile file: each
// writer escapes for its own format, and no control character reaches a
// terminal. The same report gives the same bytes.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// Options say how to write.
type Options struct {
	Color bool // text: for a terminal
	All   bool // text, markdown: also what passed and what does not apply
}

// writers by the name of the format.
var writers = map[string]func(io.Writer, audit.Report, Options) error{
	"text": writeText, "json": writeJSON, "sarif": writeSARIF, "junit": writeJUnit, "markdown": writeMarkdown,
	"github": writeGitHub, "checkstyle": writeCheckstyle, "codeclimate": writeCodeClimate, "html": writeHTML,
}

// Formats lists the names of the formats.
func Formats() []string {
	var list []string
	for name := range writers {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Write writes a report in a format.
func Write(w io.Writer, format string, r audit.Report, o Options) error {
	write, ok := writers[format]
	if !ok {
		return fmt.Errorf("write report: there is no format %q; take one of %s", format, strings.Join(Formats(), ", "))
	}
	if err := write(w, r, o); err != nil {
		return fmt.Errorf("write %s report: %w", format, err)
	}
	return nil
}

func writeJSON(w io.Writer, r audit.Report, _ Options) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return err
	}
	_, err := w.Write(escapeJSON(b.Bytes()))
	return err
}

// escapeJSON writes what deceives a reader or commands a CI runner as escapes:
// the values stay the same. Outside of strings JSON has none of it.
func escapeJSON(data []byte) []byte {
	var b bytes.Buffer
	b.Grow(len(data))
	for i, r := range string(data) {
		if r != '\n' && deceptive(r) || r == '#' && bytes.HasPrefix(data[i:], []byte("##[")) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.Bytes()
}

// visible replaces what a terminal or a reader could be deceived with: control
// characters, and those that change the direction of text. Line ends stay
// where multiline is set.
func visible(text string, multiline bool) string {
	clean := true
	text = strings.ReplaceAll(text, "##[", `\x23#[`) // a command to some CI runners
	for _, r := range text {
		if deceptive(r) && !(multiline && r == '\n') || r == '\uFFFD' {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case multiline && r == '\n':
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		case deceptive(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func deceptive(r rune) bool {
	return r < 0x20 || 0x7F <= r && r < 0xA0 || 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069 ||
		r == 0x200E || r == 0x200F || r == 0x061C || r == 0x2028 || r == 0x2029 || r == 0xFEFF
}

// place is where a finding is, for one line of text.
func place(f audit.Finding) string {
	path := f.Locator.Path
	if path == "" {
		path = f.Artifact.Name
	}
	var b strings.Builder
	b.WriteString(visible(path, false))
	if f.Locator.StartLine > 0 {
		fmt.Fprintf(&b, ":%d", f.Locator.StartLine)
		if f.Locator.EndLine > f.Locator.StartLine {
			fmt.Fprintf(&b, "-%d", f.Locator.EndLine)
		}
	}
	if f.Locator.Pointer != "" {
		b.WriteString(" " + visible(f.Locator.Pointer, false))
	}
	if f.Locator.File != "" {
		b.WriteString(" " + visible(f.Locator.File, false))
	}
	if f.Locator.Layer != "" {
		layer := f.Locator.Layer
		if len(layer) > 19 {
			layer = layer[:19]
		}
		b.WriteString(" (layer " + visible(layer, false) + ")")
	}
	return b.String()
}

// titles maps rule ids to titles.
func titles(r audit.Report) map[string]string {
	m := map[string]string{}
	for _, rule := range r.Rules {
		m[rule.ID] = rule.Title
	}
	return m
}

// sentence says in one line what is wrong.
func sentence(f audit.Finding) string {
	text := f.Observed
	if f.Expected != "" {
		text += "; expected " + f.Expected
	}
	if f.Verdict == audit.Unknown {
		text = "needs " + f.Needs
	}
	if f.Verdict == audit.NotApplicable {
		text = f.Reason
	}
	return text
}

// byStep groups findings.
func byStep(r audit.Report) map[string][]audit.Finding {
	m := map[string][]audit.Finding{}
	for _, f := range r.Findings {
		step := audit.StepOf(f.Rule)
		m[step] = append(m[step], f)
	}
	return m
}

// counts is the line with all five verdicts.
func counts(r audit.Report) string {
	var parts []string
	for _, v := range []audit.Verdict{audit.Pass, audit.Fail, audit.Warn, audit.Unknown, audit.NotApplicable} {
		parts = append(parts, fmt.Sprintf("%d %s", r.Summary[v], v))
	}
	if r.Waived > 0 {
		parts = append(parts, fmt.Sprintf("%d waived", r.Waived))
	}
	return strings.Join(parts, ", ")
}
