package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// maxMarkdown bounds the findings in a summary: a comment on a pull request
// takes 65,536 characters.
const maxMarkdown = 200

// markdown escapes text for a cell of a table.
func markdown(text string) string {
	text = visible(text, true)
	return strings.NewReplacer(
		"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "\\|", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]",
		"#", "\\#", "~", "\\~", "@", "&#64;", "\n", "<br>", "\\", "\\\\", "!", "\\!",
	).Replace(text)
}

func writeMarkdown(w io.Writer, r audit.Report, o Options) error {
	b := bufio.NewWriter(w)
	b.WriteString("## Container hardening audit\n\n| stage | score | steps |\n|---|---|---|\n")
	for _, s := range r.Stages {
		score := "–"
		if p := s.Percent(); p >= 0 {
			score = fmt.Sprintf("%d %%", p)
		}
		var steps []string
		for _, step := range s.Steps {
			steps = append(steps, fmt.Sprintf("%s %s", step.Step, symbol(step.Verdict)))
		}
		fmt.Fprintf(b, "| %s %s | %s | %s |\n", s.Stage, s.Title, score, strings.Join(steps, ", "))
	}
	fmt.Fprintf(b, "\n%s. ✓ pass, ✗ fail, ! warn, ? unknown, – not applicable\n", counts(r))
	names := titles(r)
	n := 0
	for _, f := range r.Findings {
		show := f.Broken() || o.All
		if !show {
			continue
		}
		if n == 0 {
			b.WriteString("\n| rule | where | what | fix |\n|---|---|---|---|\n")
		}
		if n++; n > maxMarkdown {
			continue
		}
		fmt.Fprintf(b, "| [%s](%s%s.md) %s %s | %s | %s | %s |\n", f.Rule, docs, f.Rule, symbol(f.Verdict), markdown(names[f.Rule]), markdown(place(f)), markdown(sentence(f)), markdown(f.Fix))
	}
	if n > maxMarkdown {
		fmt.Fprintf(b, "\n%d more are in the other reports.\n", n-maxMarkdown)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "\n> %s\n", markdown(note))
	}
	return b.Flush()
}

func symbol(v audit.Verdict) string {
	switch v {
	case audit.Pass:
		return "✓"
	case audit.Fail:
		return "✗"
	case audit.Warn:
		return "!"
	case audit.Unknown:
		return "?"
	}
	return "–"
}
