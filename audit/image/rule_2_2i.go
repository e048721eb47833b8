package image

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule22i = rule{audit.Rule{
	ID: "CHG-2.2i", Title: "The image is signed by somebody who is trusted", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Image},
	Aliases:  []string{"CIS-DI-0005"},
	Why:      "Whoever can write to the registry can replace an image; a signature says who made these bytes.",
	Fix:      "Publish with hardstand publish --key, and audit with --key or --identity and --issuer.",
	Evidence: "the digest, and the key or identity whose signature verified",
}, func(c *check) {
	c.method = "signature verified against the trust policy given"
	s := c.opts.Signatures
	if s == nil {
		c.unknown("a trust policy: a public key, or an identity with its issuer; and the image in a registry")
		return
	}
	if len(s.Refusals) > 0 || len(s.Evidences) == 0 {
		why := "no signature of those trusted"
		if len(s.Refusals) > 0 {
			why = s.Refusals[0].Code + ": " + s.Refusals[0].Reason
		}
		c.add(audit.Finding{Verdict: audit.Fail, Observed: shorten(why), Expected: "a signature of the digest by a trusted key or identity"})
		return
	}
	c.pass("%s is signed by %s", s.Digest, s.signer())
}}

func (s *Signatures) signer() string {
	for _, e := range s.Evidences {
		if e.Identity != "" {
			return fmt.Sprintf("%s (%s)", e.Identity, e.Issuer)
		}
		if e.KeyID != "" {
			return "key " + e.KeyID
		}
	}
	return "a trusted key"
}
