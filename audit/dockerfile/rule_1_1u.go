package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11u = rule{audit.Rule{
	ID: "CHG-1.1u", Title: "COPY --from names an earlier stage or a whole reference", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3022", "DL3023", "DS-0006"},
	Why:      "A misspelt stage name is taken for an image of that name in the registry: somebody else's files end up in yours.",
	Fix:      "Correct the name, or write the image with its registry and digest.",
	Evidence: "line and name",
}, func(c *check) {
	c.held = "every --from is an earlier stage or a reference with a path, tag or digest"
	c.each(func(in *instr) {
		for _, name := range fromNames(in) {
			expanded := c.expand(name, environment(in.stage.env))
			switch {
			case strings.Contains(expanded, "$"):
			case in.stage.name != "" && strings.EqualFold(expanded, in.stage.name):
				c.fail(spot{in: in, alias: "DL3023", observed: "--from=" + name + " is the stage itself", expected: "an earlier stage"})
			case c.findFrom(expanded, in.stage.index) == nil && !strings.ContainsAny(expanded, ":/@") && expanded != "scratch":
				c.fail(spot{in: in, alias: "DL3022", observed: "--from=" + name + " is no earlier stage", expected: "a stage's name, or an image with its tag and digest"})
			}
		}
	})
}}
