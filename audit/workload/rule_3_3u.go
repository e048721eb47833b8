package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule33u = rule{Rule: audit.Rule{
	ID: "CHG-3.3u", Title: "No namespace is shared with the host", Severity: audit.High, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0008", "KSV-0009", "KSV-0010"},
	Why:      "In the host's namespaces a container sees its processes, its network or its memory.",
	Fix:      "Remove hostNetwork, hostPID and hostIPC; publish ports instead; awsvpc on ECS.",
	Evidence: "the setting",
}, each: func(c *check, k *container) {
	for _, h := range k.host {
		c.fail(k, h.at, shorten(h.value)+" is the host's", "a namespace of its own")
	}
	if len(k.host) == 0 {
		c.pass(k, k.at, "none")
	}
}}
