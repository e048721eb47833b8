package image

import "github.com/hardstand/hardstand/audit"

var rule33i = rule{audit.Rule{
	ID: "CHG-3.3i", Title: "No file of the image carries capabilities", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Why:      "A program with file capabilities gives them to whoever runs it, and does not start where all capabilities are dropped.",
	Fix:      "Remove setcap from the build; listen on a port above 1024.",
	Evidence: "layer and path",
}, func(c *check) {
	c.method = "security.capability attributes in the layers"
	list := c.matching(func(e *entry) bool { return e.caps })
	c.files(audit.Fail, list, "no file capabilities", func(*entry) string { return "security.capability is set" }, "none")
}}
