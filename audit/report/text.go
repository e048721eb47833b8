package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// Colours of a terminal (ECMA-48 SGR).
const (
	red    = "31"
	yellow = "33"
	green  = "32"
	grey   = "90"
	bold   = "1"
)

type textWriter struct {
	*bufio.Writer
	color bool
}

func (t textWriter) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t textWriter) verdict(v audit.Verdict) string {
	label := fmt.Sprintf("%-7s", v)
	switch v {
	case audit.Fail:
		return t.paint(red, label)
	case audit.Warn:
		return t.paint(yellow, label)
	case audit.Pass:
		return t.paint(green, label)
	}
	return t.paint(grey, label)
}

// writeText is for a person: by stage and step, with the fix where something
// is broken.
func writeText(w io.Writer, r audit.Report, o Options) error {
	t := textWriter{bufio.NewWriter(w), o.Color}
	names, steps := titles(r), byStep(r)
	var silent []string
	for _, stage := range r.Stages {
		score := "nothing applies"
		if p := stage.Percent(); p >= 0 {
			score = fmt.Sprintf("%d %%", p)
		}
		t.WriteString(t.paint(bold, fmt.Sprintf("Stage %s  %s", stage.Stage, stage.Title)) + "  " + score + "\n")
		for _, step := range stage.Steps {
			findings := steps[step.Step]
			if len(findings) == 0 {
				silent = append(silent, fmt.Sprintf("  %s %s: %s", step.Step, step.Title, step.Needs))
				continue
			}
			fmt.Fprintf(t, "  %s %s %s\n", t.verdict(step.Verdict), step.Step, step.Title)
			t.step(findings, names, o.All)
		}
		t.WriteByte('\n')
	}
	if len(silent) > 0 {
		t.WriteString(t.paint(bold, "Not looked at") + ", and therefore unknown; what would say more:\n")
		t.WriteString(strings.Join(silent, "\n") + "\n\n")
	}
	for _, note := range r.Notes {
		t.WriteString("note: " + visible(note, false) + "\n")
	}
	fmt.Fprintf(t, "%s\n", counts(r))
	return t.Flush()
}

func (t textWriter) step(findings []audit.Finding, names map[string]string, all bool) {
	last := ""
	for _, f := range findings {
		standing := f.Broken() || f.Verdict == audit.Unknown && f.Waiver == nil
		if !standing && !all {
			continue
		}
		if f.Rule != last {
			last = f.Rule
			head := fmt.Sprintf("%s %s", f.Rule, names[f.Rule])
			if f.Broken() {
				head += " (" + string(f.Severity) + ")"
			}
			t.WriteString("          " + head + "\n")
			if f.Broken() {
				defer t.fix(f)()
			}
		}
		t.finding(f)
	}
}

// fix writes how to repair a rule, after the findings of its step.
func (t textWriter) fix(f audit.Finding) func() {
	return func() {
		lines := strings.Split(visible(f.Fix, true), "\n")
		t.WriteString(t.paint(grey, "          fix "+f.Rule+": "+lines[0]) + "\n")
		for _, l := range lines[1:] {
			t.WriteString(t.paint(grey, "              "+l) + "\n")
		}
	}
}

func (t textWriter) finding(f audit.Finding) {
	mark := t.verdict(f.Verdict)
	if f.Waiver != nil {
		mark = t.paint(grey, "waived ")
	}
	line := fmt.Sprintf("            %s %s: %s", mark, place(f), visible(sentence(f), false))
	if f.Waiver != nil {
		line += " [" + visible(f.Waiver.Reason, false) + "; " + visible(f.Waiver.Source, false) + "]"
	}
	t.WriteString(line + "\n")
}
