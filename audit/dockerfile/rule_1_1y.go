package dockerfile

import (
	"github.com/hardstand/hardstand/audit"
)

var rule11y = rule{audit.Rule{
	ID: "CHG-1.1y", Title: "One download tool, and SHELL instead of replacing /bin/sh", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL4001", "DL4005", "DS-0014"},
	Why:      "Two tools for one job are two to patch, and a replaced /bin/sh changes every script of the image.",
	Fix:      `Keep curl or wget, better ADD --checksum; write SHELL ["/bin/bash", "-c"].`,
	Evidence: "line and tools",
}, func(c *check) {
	c.held = "at most one download tool in a stage"
	for _, s := range c.stages {
		if !s.reachable {
			continue
		}
		first := map[string]*instr{}
		for _, in := range s.instrs {
			for _, call := range c.calls(in) {
				if (call.name == "curl" || call.name == "wget") && first[call.name] == nil {
					first[call.name] = in
				}
				if call.name == "ln" && call.has("/bin/sh") {
					c.warn(spot{in: in, alias: "DL4005", observed: "a link replaces /bin/sh", expected: `SHELL ["/bin/bash", "-c"]`})
				}
			}
		}
		if a, b := first["curl"], first["wget"]; a != nil && b != nil {
			at := a
			if b.start > a.start {
				at = b
			}
			c.warn(spot{in: at, alias: "DL4001", observed: "curl and wget in one stage", expected: "one of them"})
		}
	}
}}
