package image

import "github.com/hardstand/hardstand/audit"

var rule29k = rule{audit.Rule{
	ID: "CHG-2.9k", Title: "The image has no interpreter", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "An interpreter runs what an intruder brings along, also where nothing may be written or executed.",
	Fix:      "Compile the program; where it needs an interpreter, accept this one by name with a reason.",
	Evidence: "layer and path",
}, func(c *check) { c.ofKind("an interpreter") }}
