package dockerfile

import (
	"fmt"
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule24b = rule{audit.Rule{
	ID: "CHG-2.4b", Title: "Nothing valuable reaches the builder", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Context},
	Aliases:  []string{"CIS-DI-0010"},
	Why:      "What is sent can be copied by one COPY . . today or next year, and stays in a layer even if a later one deletes it.",
	Fix:      "Add the paths to .dockerignore, better deny by default: * first, then !what-the-build-needs.",
	Evidence: "path and what it is; the ignore file evaluated over the real context",
}, func(c *check) {
	if c.context == nil {
		c.notApplicableContext()
		return
	}
	c.method = fmt.Sprintf("ignore file evaluated over %d files", len(c.context.all))
	c.held = fmt.Sprintf("%d files reach the builder, none valuable; %d valuable ones are kept away", len(c.context.files), c.context.hidden)
	taken := c.takes()
	for _, v := range c.context.valuable {
		verdict := audit.Warn
		if taken(v.path) {
			verdict = audit.Fail
		}
		observed := v.path + " (" + v.what + ") reaches the builder"
		if verdict == audit.Fail {
			observed += " and a COPY takes it"
		}
		c.add(audit.Finding{
			Verdict: verdict, Artifact: c.context.artifact, Locator: audit.Locator{Path: strings.TrimSuffix(v.path, "/")},
			Observed: observed, Expected: "kept away by the ignore file", Fix: "Add to .dockerignore: " + strings.TrimSuffix(v.path, "/"),
		})
	}
	if c.context.truncated {
		c.add(audit.Finding{Verdict: audit.Unknown, Artifact: c.context.artifact, Needs: "a smaller context: not every file was looked at"})
	}
}}

// takes returns a function that says whether some COPY or ADD takes a path of
// the context.
func (c *check) takes() func(string) bool {
	wanted := c.wanted()
	return func(p string) bool {
		p = strings.TrimSuffix(p, "/")
		for _, w := range wanted {
			if w == "" || w == p || strings.HasPrefix(p, w+"/") || strings.HasPrefix(w, p+"/") {
				return true
			}
			if ok, err := path.Match(w, p); err == nil && ok {
				return true
			}
		}
		return false
	}
}
