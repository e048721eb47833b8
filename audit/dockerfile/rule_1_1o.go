package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11o = rule{audit.Rule{
	ID: "CHG-1.1o", Title: "Comments above stages and ARGs describe them by name", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"InvalidDefinitionDescription"},
	Why:      "docker build --call=outline shows such a comment only if it begins with the name.",
	Fix:      "Begin the comment with the name, or leave an empty line below it.",
	Evidence: "line and name",
}, func(c *check) {
	c.held = "no description is lost"
	if !c.outline() {
		c.notApplicable("no comment begins with a name, so the file does not use descriptions")
		return
	}
	for _, in := range c.all {
		names := defined(in)
		if len(names) == 0 || len(in.node.PrevComment) == 0 || in.onbuild {
			continue
		}
		last := in.node.PrevComment[len(in.node.PrevComment)-1]
		if !describes(last, names) && !directiveComment(last) {
			c.warn(spot{in: in, observed: "the comment above does not begin with " + names[0], expected: "# " + names[0] + " what it is"})
		}
	}
}}

// outline reports whether some definition is described, that is, whether the
// author knows the convention.
func (f *file) outline() bool {
	for _, in := range f.all {
		for _, comment := range in.node.PrevComment {
			if describes(comment, defined(in)) {
				return true
			}
		}
	}
	return false
}

func defined(in *instr) []string {
	if in.name == "FROM" {
		if in.stage.name == "" {
			return nil
		}
		return []string{in.stage.name}
	}
	if in.name == "ARG" {
		return defines(in)
	}
	return nil
}

func describes(comment string, names []string) bool {
	for _, n := range names {
		if strings.HasPrefix(comment, n+" ") {
			return true
		}
	}
	return false
}

func directiveComment(text string) bool {
	for _, p := range []string{"hadolint", "hardstand", "trivy:", "check=", "syntax=", "escape=", "dockle"} {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return false
}
