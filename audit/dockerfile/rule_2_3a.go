package dockerfile

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule23a = rule{audit.Rule{
	ID: "CHG-2.3a", Title: "Every image is named by digest", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3006", "DL3007", "DS-0001", "DKL-DI-0006", "CIS-DI-0002"},
	Why:      "A tag can be moved to other content at any time, by its owner or by whoever took over the account.",
	Fix:      "Write name:tag@sha256:... in FROM, COPY --from, RUN --mount=from and # syntax. hardstand audit --fix --resolve does it.",
	Evidence: "line and reference",
}, func(c *check) {
	refs := c.references()
	c.held = fmt.Sprintf("%d references, all with a digest", len(refs))
	c.method = "references collected from FROM, COPY --from, RUN --mount and # syntax"
	for _, r := range refs {
		n := parseImage(r.value)
		if n.pinned() {
			continue
		}
		s := spot{start: r.line, end: r.line, observed: r.where + " " + r.value, expected: r.value + "@sha256:..."}
		switch {
		case strings.Contains(r.value, "$"):
			c.unknownAt(r, "the value of the build arguments in "+r.raw)
			continue
		case n.digest != "":
			s.observed += ": the digest is not sha256 with 64 hex digits"
		case n.tag == "":
			s.alias = "DL3006"
		case n.tag == "latest":
			s.alias = "DL3007"
		default:
			// Other linters are content with a tag: their ids do not mean this.
			s.alias = c.rule.ID
		}
		if r.where == "# syntax" {
			// The frontend runs the build but leaves nothing in it by itself.
			s.severity = audit.Medium
		}
		c.fail(s)
	}
}}
