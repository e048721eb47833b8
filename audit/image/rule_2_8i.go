package image

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/credential"
)

var rule28i = rule{audit.Rule{
	ID: "CHG-2.8i", Title: "The image's history holds no secret", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0010", "DS-0031"},
	Why:      "Build arguments and commands are stored with the image; docker history shows them to everybody who can pull.",
	Fix:      "RUN --mount=type=secret,id=token … instead of ARG TOKEN; and replace the secret.",
	Evidence: "the entry of history and the argument's name; never its value",
}, func(c *check) {
	c.method = "history of the configuration, with the build arguments in it"
	if len(c.config.History) == 0 {
		c.unknown("a configuration with history")
		return
	}
	broken := false
	for i, h := range c.config.History {
		if what := inHistory(h.CreatedBy); what != "" {
			broken = true
			c.add(audit.Finding{Verdict: audit.Fail, Locator: c.history(i), Observed: what, Expected: "no secret in the history"})
		}
	}
	if !broken {
		c.pass("%d entries without a secret", len(c.config.History))
	}
}}

// inHistory says which secret a line of history holds. Only build arguments
// and ENV are judged by the name of the variable: a command may well name a
// password that it does not hold.
func inHistory(by string) string {
	if kind := credential.Looks(by); kind != "" {
		return kind + " in " + redact(by)
	}
	by = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(by, "RUN "), "/bin/sh -c #(nop) "))
	if strings.HasPrefix(by, "|") {
		by, _, _ = strings.Cut(by, " /bin/sh -c ")
	} else if !strings.HasPrefix(by, "ENV ") && !strings.HasPrefix(by, "ARG ") {
		return ""
	}
	for _, a := range assignments(by) {
		if kind := credential.Of(a[0], a[1]); kind != "" {
			return "a value for " + a[0] + ": " + kind
		}
	}
	return ""
}
