package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule34r = rule{Rule: audit.Rule{
	ID: "CHG-3.4r", Title: "Processes, or on Kubernetes local storage, are limited", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Docker, audit.Compose, audit.Kubernetes, audit.ECS},
	Aliases:  []string{"KSV-0019"},
	Why:      "A fork bomb or a full disk takes the whole node along.",
	Fix:      "pids_limit: 100; limits: {ephemeral-storage: 64Mi}.",
	Evidence: "the value",
}, each: func(c *check, k *container) {
	what := "processes"
	if c.artifact.Kind == audit.Kubernetes {
		what = "ephemeral storage"
	}
	if !k.processes.set || k.processes.value == "0" || k.processes.value == "-1" {
		c.warn(k, k.processes.at, "no limit of "+what, "a limit of "+what)
		return
	}
	c.pass(k, k.processes.at, what+": "+k.processes.value)
}}
