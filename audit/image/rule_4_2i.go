package image

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule42i = rule{audit.Rule{
	ID: "CHG-4.2i", Title: "Every platform in the registry is signed, with an SBOM attested", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Registry},
	Why:      "A cluster resolves the index to one platform; a signature of the index alone says nothing to whoever checks that one.",
	Fix:      "hardstand publish signs index and platforms and attests the SBOM; hardstand verify shows what is there.",
	Evidence: "digests, signers and predicate types",
}, func(c *check) {
	s := c.opts.Signatures
	where := audit.Artifact{Kind: audit.Registry, Name: c.artifact.Name}
	if s == nil {
		if c.config != nil {
			c.add(audit.Finding{Verdict: audit.Unknown, Artifact: where, Needs: "the registry, and a trust policy: a public key, or an identity with its issuer"})
		}
		return
	}
	c.method = "signatures and attestations of index and platforms verified against the trust policy given"
	faults := s.faults()
	for _, fault := range faults {
		c.add(audit.Finding{Verdict: audit.Fail, Artifact: where, Observed: shorten(fault), Expected: "a trusted signature of every digest, and an attested SBOM"})
	}
	if len(faults) == 0 {
		c.add(audit.Finding{Verdict: audit.Pass, Artifact: where, Observed: s.Digest + " and its platforms are signed by " + s.signer()})
	}
}}

// faults lists what a verification did not find: a signature of every digest,
// and an SBOM.
func (s *Signatures) faults() []string {
	var faults []string
	sbom := false
	var walk func(*Signatures)
	walk = func(s *Signatures) {
		if len(s.Evidences) == 0 {
			faults = append(faults, s.Digest+" "+s.Platform+" has no signature that counts")
		}
		for _, a := range s.Attestations {
			sbom = sbom || strings.Contains(a.PredicateType, "spdx") || strings.Contains(a.PredicateType, "cyclonedx")
		}
		for i := range s.Platforms {
			walk(&s.Platforms[i])
		}
	}
	walk(s)
	if !sbom {
		faults = append(faults, "no SBOM is attested")
	}
	return faults
}
