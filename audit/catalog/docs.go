package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

// Pages returns the generated documentation: a page a rule, and an index with
// the table of steps and artefacts. Keys are file names.
func Pages() map[string]string {
	pages := map[string]string{"README.md": index(Rules())}
	for _, r := range Rules() {
		pages[r.ID+".md"] = page(r)
	}
	return pages
}

const generated = "Generated from the rules by `make docs`.\n\n"

func page(r audit.Rule) string {
	step, _ := audit.StepByNumber(r.Step())
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s\n\n%s", r.ID, r.Title, generated)
	fmt.Fprintf(&b, "| | |\n|---|---|\n| step | %s %s |\n| severity | %s |\n| since rule set | %d |\n| read in | %s |\n", step.Number, step.Title, r.Severity, r.Since, labels(r.Kinds))
	if len(r.Aliases) > 0 {
		fmt.Fprintf(&b, "| known elsewhere as | %s |\n", strings.Join(r.Aliases, ", "))
	}
	fmt.Fprintf(&b, "\n## Why\n\n%s\n\n## Fix\n\n```text\n%s\n```\n\n## Evidence\n\n%s.\n", plain(r.Why), r.Fix, strings.TrimSuffix(upper(plain(r.Evidence)), "."))
	fmt.Fprintf(&b, "\nA comment accepts a finding where it stands:\n\n```text\n# hardstand ignore=%s reason=\"why this is right here\" until=2027-12-31\n```\n", r.ID)
	return b.String()
}

// plain keeps Markdown from reading placeholders as HTML.
func plain(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", "\\*").Replace(text)
}

func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func labels(kinds []audit.Kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, k.Label())
	}
	return strings.Join(list, ", ")
}

// Cell is one step in one kind of artefact, with the rules that look there.
type Cell struct {
	Step  audit.Step
	Kind  audit.Kind
	Rules []string
}

// Cells lists every step and kind in which it can be seen.
func Cells(rules []audit.Rule) []Cell {
	var list []Cell
	for _, s := range audit.Steps {
		for _, k := range s.Kinds {
			c := Cell{Step: s, Kind: k}
			for _, r := range rules {
				if r.Step() == s.Number && slices.Contains(r.Kinds, k) {
					c.Rules = append(c.Rules, r.ID)
				}
			}
			list = append(list, c)
		}
	}
	return list
}

func index(rules []audit.Rule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Rules\n\n%sRule set %d: %d rules for the 21 steps. `·` means that a step cannot be seen in an artefact.\n\n", generated, audit.RuleSet, len(rules))
	cells := map[string]string{}
	for _, c := range Cells(rules) {
		var letters []string
		for _, id := range c.Rules {
			letters = append(letters, fmt.Sprintf("[%s](%s.md)", id[7:], id))
		}
		cells[c.Step.Number+string(c.Kind)] = strings.Join(letters, " ")
	}
	b.WriteString("| step |")
	for _, k := range audit.Kinds {
		b.WriteString(" " + k.Label() + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(audit.Kinds)) + "\n")
	for _, s := range audit.Steps {
		fmt.Fprintf(&b, "| %s %s |", s.Number, s.Title)
		for _, k := range audit.Kinds {
			text, looked := cells[s.Number+string(k)]
			switch {
			case !looked:
				text = "·"
			case text == "":
				text = "**none**"
			}
			b.WriteString(" " + text + " |")
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n## What only a person can answer\n\nWhere no artefact shows a step whole, its verdict is unknown until this is there:\n\n| step | evidence |\n|---|---|\n")
	for _, s := range audit.Steps {
		if s.Person != "" {
			fmt.Fprintf(&b, "| %s %s | %s |\n", s.Number, s.Title, s.Person)
		}
	}
	b.WriteString("\n## All rules\n\n| rule | severity | |\n|---|---|---|\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Severity, plain(r.Title))
	}
	return b.String()
}
