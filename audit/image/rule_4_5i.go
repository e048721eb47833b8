package image

import (
	"fmt"
	"time"

	"github.com/hardstand/hardstand/audit"
)

// maxDrill is how long a test of the tokens counts.
const maxDrill = 180 * 24 * time.Hour

var rule45i = rule{audit.Rule{
	ID: "CHG-4.5i", Title: "Canary tokens stand in the image and were fired as a test", Severity: audit.Medium, Since: 1,
	Kinds:    []audit.Kind{audit.Image, audit.Decoys, audit.Export},
	Why:      "A token that nobody ever fired may have been silent from its first day.",
	Fix:      "Build with canary: {tokens: [aws, kubeconfig, ssh]}, then fire each once: hardstand canary test.",
	Evidence: "kind, id and path of each token; when they were last fired",
}, func(c *check) {
	r := c.opts.Register
	if r == nil {
		if c.config != nil {
			c.unknown("the inventory of tokens that hardstand build wrote, with the time of the last test")
		}
		return
	}
	c.method = "tokens of the register looked up in the final file system by path and digest"
	if len(r.Tokens) == 0 {
		c.add(audit.Finding{Verdict: audit.Fail, Artifact: r.artifact(), Observed: "the register has no tokens", Expected: "credentials that raise an alarm when used"})
		return
	}
	if c.config != nil {
		c.tokens(r)
	}
	f := audit.Finding{Artifact: r.artifact(), Method: "lastDrill of the register", Expected: fmt.Sprintf("a test within %d days", int(maxDrill.Hours()/24))}
	drilled, err := time.Parse(time.RFC3339, r.Drilled)
	switch {
	case r.Drilled == "" || err != nil:
		f.Verdict, f.Observed = audit.Fail, "the tokens were never fired as a test"
	case c.opts.Now.Sub(drilled) > maxDrill:
		f.Verdict, f.Observed = audit.Fail, "last fired as a test "+r.Drilled
	default:
		f.Verdict, f.Observed = audit.Pass, "last fired as a test "+r.Drilled
	}
	c.add(f)
}}

func (c *check) tokens(r *Register) {
	missing := 0
	for _, t := range r.Tokens {
		for _, p := range t.Paths {
			if e := c.find(p); e == nil || !c.decoy(e) {
				missing++
				c.add(audit.Finding{Verdict: audit.Fail, Locator: audit.Locator{File: p}, Observed: shorten(t.Kind) + " token is missing or changed", Expected: "the token as registered"})
			}
		}
	}
	if missing == 0 {
		c.pass("%d tokens stand as registered", len(r.Tokens))
	}
}
