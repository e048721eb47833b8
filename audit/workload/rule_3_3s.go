package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule33s = rule{Rule: audit.Rule{
	ID: "CHG-3.3s", Title: "No process can gain privileges", Severity: audit.High, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0001"},
	Why:      "With no_new_privs set-id programs and file capabilities have no effect.",
	Fix:      "allowPrivilegeEscalation: false; security_opt: [no-new-privileges:true].",
	Evidence: "the setting",
}, each: func(c *check, k *container) {
	c.want(k, k.escalation, "false", "no new privileges")
}}
