package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11l = rule{audit.Rule{
	ID: "CHG-1.1l", Title: "No empty continuation lines", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"NoEmptyContinuation"},
	Why:      "BuildKit will take an empty line inside a continued instruction for an error.",
	Fix:      "Remove the empty line, or make it a comment.",
	Evidence: "line",
}, func(c *check) {
	c.held = "no empty continuation line"
	for _, w := range c.warnings {
		c.warn(spot{start: w.start, end: w.end, observed: "an empty line inside a continued instruction", expected: "no empty line there"})
	}
}}
