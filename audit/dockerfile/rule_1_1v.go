package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11v = rule{audit.Rule{
	ID: "CHG-1.1v", Title: "apt-get instead of apt", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3027"},
	Why:      "apt is for people: its output and options may change with every release.",
	Fix:      "Write apt-get.",
	Evidence: "line",
}, func(c *check) {
	c.held = "no apt"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			if call.name == "apt" {
				c.warn(spot{in: in, observed: "apt", expected: "apt-get"})
				return
			}
		}
	})
}}
