package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule35t = rule{Rule: audit.Rule{
	ID: "CHG-3.5t", Title: "The task has a role of its own", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.ECS},

	Why:      "The execution role reads secrets and images for the agent; a task that has the same can read them all.",
	Fix:      "A taskRoleArn with what the program needs and nothing else.",
	Evidence: "the two roles",
}, each: func(c *check, k *container) {
	switch k.roles.value {
	case "same":
		c.fail(k, k.roles.at, "taskRoleArn is executionRoleArn", "two roles")
	case "none":
		c.pass(k, k.roles.at, "the task has no role")
	default:
		c.pass(k, k.roles.at, "two roles")
	}
}}
