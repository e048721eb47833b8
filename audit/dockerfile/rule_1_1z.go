package dockerfile

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule11z = rule{audit.Rule{
	ID: "CHG-1.1z", Title: "What RUN says is valid shell", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"SC1000"},
	Why:      "The build would fail here, or worse, run half of what was meant; and no rule can judge such a RUN.",
	Fix:      "Correct the shell syntax.",
	Evidence: "line and the shell parser's message",
}, func(c *check) {
	c.method = "RUN parsed with mvdan.cc/sh as bash"
	n := 0
	c.each(func(in *instr) {
		if in.name != "RUN" {
			return
		}
		n++
		if err := c.script(in).err; err != nil {
			c.fail(spot{in: in, observed: err.Error(), expected: "valid shell"})
		}
	})
	c.held = fmt.Sprintf("%d RUN instructions", n)
}}
