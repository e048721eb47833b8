package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule22b = rule{audit.Rule{
	ID: "CHG-2.2b", Title: "Images come from trusted registries", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3026"},
	Why:      "Anybody can push to a public registry under a name that looks right.",
	Fix:      "Name the registries in .hardstand.yaml (trusted: [registry.example/base]) and use images from there.",
	Evidence: "reference and the allow-list",
}, func(c *check) {
	if len(c.opts.Trusted) == 0 {
		c.unknown("a list of trusted registries (trusted in .hardstand.yaml)", "")
		return
	}
	for _, r := range c.references() {
		if n := parseImage(r.value); !n.trusted(c.opts.Trusted) {
			c.fail(spot{start: r.line, end: r.line, observed: r.where + " " + n.String(), expected: "one of " + strings.Join(c.opts.Trusted, ", ")})
		}
	}
	c.held = "every image comes from " + strings.Join(c.opts.Trusted, ", ")
	c.method = "references compared with the list of trusted registries"
}}
