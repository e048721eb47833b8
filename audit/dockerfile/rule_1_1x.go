package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11x = rule{audit.Rule{
	ID: "CHG-1.1x", Title: "ONBUILD hides nothing", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3043"},
	Why:      "ONBUILD runs in other people's builds, out of their sight; ONBUILD FROM and ONBUILD ONBUILD are errors.",
	Fix:      "Write the instruction into the Dockerfiles that need it.",
	Evidence: "line and instruction",
}, func(c *check) {
	c.held = "no ONBUILD"
	c.each(func(in *instr) {
		if in.onbuild {
			c.warn(spot{in: in, observed: in.name, expected: "no ONBUILD"})
		}
	})
}}
