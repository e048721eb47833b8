package dockerfile

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule11h = rule{audit.Rule{
	ID: "CHG-1.1h", Title: "CMD, ENTRYPOINT and HEALTHCHECK stand once in a stage", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"MultipleInstructionsDisallowed", "DL4003", "DL4004", "DL3012", "DS-0016", "DS-0007", "DS-0023"},
	Why:      "Only the last one counts, so the others mislead whoever reads the file.",
	Fix:      "Remove all but the last.",
	Evidence: "line of each that does not count",
}, func(c *check) {
	c.held = "none stands twice"
	aliases := map[string]string{"CMD": "DL4003", "ENTRYPOINT": "DL4004", "HEALTHCHECK": "DL3012"}
	for _, s := range c.stages {
		if !s.reachable {
			continue
		}
		last := map[string]*instr{}
		for _, in := range s.instrs {
			alias := aliases[in.name]
			if alias == "" || in.onbuild {
				continue
			}
			if old := last[in.name]; old != nil {
				c.warn(spot{in: old, alias: alias, observed: fmt.Sprintf("%s, overridden on line %d", in.name, in.start), expected: "one " + in.name})
			}
			last[in.name] = in
		}
	}
}}
