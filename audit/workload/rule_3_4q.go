package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule34q = rule{Rule: audit.Rule{
	ID: "CHG-3.4q", Title: "CPU and memory are limited", Severity: audit.Medium, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0011", "KSV-0018", "container-resources"},
	Why:      "A limit keeps the node alive, and a sudden load shows that something else is running.",
	Fix:      "limits of memory and CPU: twice what was measured; GOMEMLIMIT at nine tenths of it.",
	Evidence: "the values",
}, each: func(c *check, k *container) {
	broken := false
	for name, f := range map[string]field{"memory": k.memory, "CPU": k.cpu} {
		if f.open() {
			broken = true
			c.unknown(k, f.at, "the value of the variables in "+shorten(f.value))
		} else if !f.set || f.value == "0" {
			broken = true
			c.fail(k, f.at, "no limit of "+name, "a limit of "+name)
		}
	}
	if !broken {
		c.pass(k, k.memory.at, "memory "+k.memory.value+", CPU "+k.cpu.value)
	}
}}
