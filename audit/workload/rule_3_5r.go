package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule35r = rule{Rule: audit.Rule{
	ID: "CHG-3.5r", Title: "Secrets come as files or by reference, not through the environment", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Kubernetes, audit.ECS},
	Aliases:  []string{"KSV-01010"},
	Why:      "Also a secret that the platform puts into the environment stands in /proc/PID/environ, and in whatever prints the environment.",
	Fix:      "Mount it as a file and name the file, or let the program fetch it by reference.",
	Evidence: "the variable's name and where it comes from",
}, each: func(c *check, k *container) {
	broken := false
	for _, v := range k.env {
		if v.reference == "secretKeyRef" || v.reference == "secretRef" || v.reference == "secrets" {
			broken = true
			c.warn(k, v.at, shorten(v.name)+" comes into the environment by "+v.reference, "a file or a reference")
		}
	}
	if !broken {
		c.pass(k, k.at, "no secret comes through the environment")
	}
}}
