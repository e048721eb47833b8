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

// step writes the findings of a step, rule by rule, each with its fix below.
func (t textWriter) step(findings []audit.Finding, names map[string]string, all bool) {
	if !all {
		findings = t.unknowns(findings)
	}
	for len(findings) > 0 {
		n := 1
		for n < len(findings) && findings[n].Rule == findings[0].Rule {
			n++
		}
		t.rule(findings[:n], names[findings[0].Rule], all)
		findings = findings[n:]
	}
}

// unknowns writes the rules that need the same thing on one line, and returns
// the other findings.
func (t textWriter) unknowns(findings []audit.Finding) (rest []audit.Finding) {
	rules, order := map[string][]string{}, []string{}
	for _, f := range findings {
		if f.Verdict != audit.Unknown || f.Waiver != nil {
			rest = append(rest, f)
			continue
		}
		key := visible(f.Artifact.Name, false) + ": needs " + visible(f.Needs, false)
		if rules[key] == nil {
			order = append(order, key)
		}
		if list := rules[key]; len(list) == 0 || list[len(list)-1] != f.Rule {
			rules[key] = append(list, f.Rule)
		}
	}
	for _, key := range order {
		names := strings.Join(rules[key], ", ")
		if n := len(rules[key]); n > 4 {
			names = fmt.Sprintf("%d rules", n)
		}
		fmt.Fprintf(t, "            %s %s (%s)\n", t.verdict(audit.Unknown), key, names)
	}
	return rest
}

func (t textWriter) rule(findings []audit.Finding, title string, all bool) {
	var shown []audit.Finding
	fix, severity := "", ""
	for _, f := range findings {
		if f.Broken() {
			severity = " (" + string(f.Severity) + ")"
			if fix == "" {
				fix = f.Fix
			}
		}
		if all || f.Broken() {
			shown = append(shown, f)
		}
	}
	if len(shown) == 0 {
		return
	}
	t.WriteString("          " + findings[0].Rule + " " + title + severity + "\n")
	for _, f := range shown {
		t.finding(f)
	}
	if fix == "" {
		return
	}
	lines := strings.Split(strings.TrimSpace(visible(fix, true)), "\n")
	t.WriteString(t.paint(grey, "            fix     "+lines[0]) + "\n")
	for _, l := range lines[1:] {
		if rest, ok := strings.CutPrefix(strings.TrimLeft(l, " "), "::"); ok {
			l = `\x3a:` + rest // a line that begins so commands GitHub's runner
		}
		t.WriteString(t.paint(grey, "                    "+l) + "\n")
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
