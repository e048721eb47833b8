package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule11p = rule{audit.Rule{
	ID: "CHG-1.1p", Title: "WORKDIR instead of cd", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3003", "DS-0013"},
	Why:      "cd holds for one RUN only, so the reader has to remember which lines it is about.",
	Fix:      "Write WORKDIR /path before the RUN.",
	Evidence: "line and directory",
}, func(c *check) {
	c.held = "no RUN consists of cd alone or begins with it"
	c.each(func(in *instr) {
		calls := c.calls(in)
		if len(calls) == 0 || calls[0].name != "cd" || c.script(in).subshell() {
			return
		}
		if len(calls[0].args) == 1 && strings.HasPrefix(calls[0].args[0], "/") {
			c.warn(spot{in: in, observed: "RUN begins with cd " + calls[0].args[0], expected: "WORKDIR " + calls[0].args[0] + " before it"})
		}
	})
}}

// subshell reports whether the script's first command stands in parentheses.
func (s *script) subshell() bool { return strings.HasPrefix(strings.TrimSpace(s.text), "(") }
