package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule22a = rule{audit.Rule{
	ID: "CHG-2.2a", Title: "Every image that the build takes is signed by somebody trusted", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"CIS-DI-0005"},
	Why:      "A digest says which bytes, a signature says whose: a build is as trustworthy as the least of the images it starts from.",
	Fix:      "Use an image whose publisher signs it, and give the key or identity: hardstand audit --key publisher.pub Dockerfile.",
	Evidence: "reference and what vouches for it",
}, func(c *check) {
	refs := c.references()
	c.method = "signatures checked against the given trust"
	if len(refs) == 0 {
		c.held = "the build takes no image from outside"
		c.method = "references collected from FROM, COPY --from, RUN --mount and # syntax"
		return
	}
	for _, r := range refs {
		n := parseImage(r.value)
		switch {
		case c.opts.Verify == nil:
			c.unknownAt(r, "a trust policy: a key or identity that signs "+n.String())
		case strings.Contains(r.value, "$"):
			c.unknownAt(r, "the value of the build arguments in "+r.raw)
		default:
			evidence, err := c.opts.Verify(c.ctx, r.value)
			if err != nil {
				c.fail(spot{start: r.line, end: r.line, observed: r.where + " " + r.value + ": " + err.Error(), expected: "a signature by somebody trusted"})
				continue
			}
			c.add(audit.Finding{Verdict: audit.Pass, Locator: c.locate(r.line, r.line), Observed: r.value + " signed by " + evidence})
		}
	}
}}

func (c *check) unknownAt(r reference, needs string) {
	c.add(audit.Finding{Verdict: audit.Unknown, Locator: c.locate(r.line, r.line), Observed: r.where + " " + r.value, Needs: needs})
}
