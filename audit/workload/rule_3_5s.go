package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule35s = rule{Rule: audit.Rule{
	ID: "CHG-3.5s", Title: "The service account's token is not mounted", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Kubernetes},
	Aliases:  []string{"KSV-0036"},
	Why:      "Most programs never speak to the cluster, and the token lets an intruder do so.",
	Fix:      "automountServiceAccountToken: false in the pod.",
	Evidence: "the setting of the pod",
}, each: func(c *check, k *container) {
	if k.token.set && k.token.value == "false" {
		c.pass(k, k.token.at, "it is not mounted")
		return
	}
	c.fail(k, k.token.at, "the token is mounted", "automountServiceAccountToken: false")
}}
