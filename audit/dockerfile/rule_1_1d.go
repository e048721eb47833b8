package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11d = rule{audit.Rule{
	ID: "CHG-1.1d", Title: "No MAINTAINER", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"MaintainerDeprecated", "DL4000", "DS-0022"},
	Why:      "MAINTAINER is deprecated since 2017; a label says the same and can be queried.",
	Fix:      `Replace it: LABEL org.opencontainers.image.authors="team@example.org"`,
	Evidence: "line",
}, func(c *check) {
	c.held = "no MAINTAINER"
	c.each(func(in *instr) {
		if in.name == "MAINTAINER" {
			c.warn(spot{in: in, observed: "MAINTAINER", expected: "LABEL org.opencontainers.image.authors"})
		}
	})
}}
