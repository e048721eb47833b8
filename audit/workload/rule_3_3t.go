package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule33t = rule{Rule: audit.Rule{
	ID: "CHG-3.3t", Title: "A seccomp profile is in force", Severity: audit.Medium, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0030", "KSV-0104"},
	Why:      "The default profile already refuses the system calls that most escapes from containers need.",
	Fix:      "seccompProfile: {type: RuntimeDefault}; hardstand runtime seccomp IMAGE writes a smaller one.",
	Evidence: "the profile",
}, each: func(c *check, k *container) {
	switch {
	case !k.seccomp.set:
		c.fail(k, k.seccomp.at, "no profile: Kubernetes then runs without", "RuntimeDefault or a profile of its own")
	case k.seccomp.value == "Unconfined":
		c.fail(k, k.seccomp.at, "it is unconfined", "RuntimeDefault or a profile of its own")
	default:
		c.pass(k, k.seccomp.at, k.seccomp.value)
	}
}}
