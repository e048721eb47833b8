package image

import "github.com/hardstand/hardstand/audit"

var rule29i = rule{audit.Rule{
	ID: "CHG-2.9i", Title: "The image has no shell", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "Most attacks on a container go on through a shell.",
	Fix:      "Copy the program into a base without one, such as scratch or hardstand's static.",
	Evidence: "layer and path",
}, func(c *check) { c.ofKind("a shell") }}
