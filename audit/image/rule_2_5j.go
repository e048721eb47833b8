package image

import "github.com/hardstand/hardstand/audit"

var rule25j = rule{audit.Rule{
	ID: "CHG-2.5j", Title: "The image has no download tool", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "With curl, wget, nc or ssh an intruder fetches the next stage of an attack and sends out what was found.",
	Fix:      "Copy the program into an image without such tools; check its health with the probe.",
	Evidence: "layer and path",
}, func(c *check) { c.ofKind("a download tool") }}
