package image

import "github.com/hardstand/hardstand/audit"

var rule29j = rule{audit.Rule{
	ID: "CHG-2.9j", Title: "The image has no package manager", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "A package manager installs whatever an intruder lacks.",
	Fix:      "Install in a build stage and copy the result into a base without package manager.",
	Evidence: "layer and path",
}, func(c *check) { c.ofKind("a package manager") }}
