package image

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule24i = rule{audit.Rule{
	ID: "CHG-2.4i", Title: "No layer contains a secret", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0010", "DS-0031"},
	Why:      "Every layer can be downloaded by itself: a file that a later layer removes is still there for whoever has the image.",
	Fix:      "Mount secrets with RUN --mount=type=secret, build again from a clean stage, and replace the secret: it is known.",
	Evidence: "layer and path, and what kind of secret; never its value",
}, func(c *check) {
	c.method = "content of every file of every layer up to 2 MiB searched for the forms of keys and tokens"
	var list []*entry
	for _, l := range c.layers {
		for _, e := range l.entries {
			if e.secret != "" && !c.decoy(e) && !sample(e.path) {
				list = append(list, e)
			}
		}
	}
	c.files(audit.Fail, list, "no secret in any layer", func(e *entry) string {
		if e.gone {
			return e.secret + ", in a file that a later layer removes or replaces"
		}
		return e.secret
	}, "no key or token in any of the layers")
}}

// sample reports whether packages put keys of their tests and documentation
// there.
func sample(path string) bool {
	for _, part := range []string{"usr/share/doc/", "/test/", "/tests/", "/testdata/", "/testing/"} {
		if strings.Contains("/"+path, part) && (strings.HasPrefix(path, "usr/") || strings.Contains(path, "node_modules/") || strings.Contains(path, "site-packages/")) {
			return true
		}
	}
	return false
}
