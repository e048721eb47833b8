package dockerfile

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule11a = rule{audit.Rule{
	ID: "CHG-1.1a", Title: "Every instruction can be read", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL1000", "DL3061"},
	Why:      "What the parser cannot read, no rule can judge, and no builder can build.",
	Fix:      "Correct the line; the message of BuildKit's parser says what it expected.",
	Evidence: "line range and the parser's message",
}, func(c *check) {
	c.held = fmt.Sprintf("%d instructions in %d stages", len(c.all), len(c.stages))
	for _, p := range c.problems {
		c.fail(spot{start: p.start, end: p.end, observed: p.text, expected: "a Dockerfile that BuildKit can parse"})
	}
}}
