package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11q = rule{audit.Rule{
	ID: "CHG-1.1q", Title: "No sudo", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3004", "DS-0010"},
	Why:      "sudo in an image is a set-id program for intruders and has odd effects on signals and terminals.",
	Fix:      "Do it as root before USER, or switch: USER root, the command, USER again.",
	Evidence: "line",
}, func(c *check) {
	c.held = "no command runs through sudo"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			if call.name == "sudo" {
				c.fail(spot{in: in, observed: "sudo " + strings.Join(call.args[:min(2, len(call.args))], " "), expected: "the command itself, under the right USER"})
				return
			}
		}
	})
}}
