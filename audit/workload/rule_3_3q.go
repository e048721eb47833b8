package workload

import (
	"github.com/hardstand/hardstand/audit"
)

var rule33q = rule{Rule: audit.Rule{
	ID: "CHG-3.3q", Title: "All capabilities are dropped", Severity: audit.High, Since: 1, Kinds: kindsAll,
	Aliases:  []string{"KSV-0003", "KSV-0004", "KSV-0106"},
	Why:      "Every capability is a part of root that the program does not need.",
	Fix:      "capabilities: {drop: [ALL]}; cap_drop: [ALL]; --cap-drop=ALL; linuxParameters.capabilities.drop: [ALL].",
	Evidence: "the list",
}, each: func(c *check, k *container) {
	c.want(k, k.dropAll, "ALL", "drop ALL")
}}
