package image

import (
	"fmt"

	"github.com/hardstand/hardstand/audit"
)

var rule43i = rule{audit.Rule{
	ID: "CHG-4.3i", Title: "The same image is in a second registry, with what vouches for it", Severity: audit.Medium, Since: 1,
	Kinds:    []audit.Kind{audit.Registry, audit.Export},
	Why:      "After the outage of a region the image is reused and not rebuilt.",
	Fix:      "hardstand publish … --replica REPOSITORY, or a replication rule of the registry.",
	Evidence: "the digests in both places, or the replication rules",
}, func(c *check) {
	c.method = "digest and referrers asked of each replica, and verified there against the trust policy given"
	where := audit.Artifact{Kind: audit.Registry, Name: c.artifact.Name}
	told := false
	for _, r := range c.opts.Replicas {
		told = true
		f := audit.Finding{Artifact: audit.Artifact{Kind: audit.Registry, Name: r.Repository}, Expected: "the same digest, with signature and SBOM"}
		switch want := "sha256:" + c.artifact.SHA256; {
		case r.Err != "":
			f.Verdict, f.Needs = audit.Unknown, "an answer of the replica: "+shorten(r.Err)
		case r.Digest == "":
			f.Verdict, f.Observed = audit.Fail, "the image is not there"
		case r.Digest != want && r.Digest != c.opts.Digest && (c.opts.Signatures == nil || r.Digest != c.opts.Signatures.Digest):
			f.Verdict, f.Observed = audit.Fail, shorten(r.Digest)+" is there, and not "+want
		case len(r.Attached) == 0:
			f.Verdict, f.Observed = audit.Fail, "the digest is there, without signature or SBOM"
		case r.Signatures == nil:
			// Anybody who can push there can attach something.
			f.Verdict, f.Observed = audit.Unknown, fmt.Sprintf("%s with %d attached", shorten(r.Digest), len(r.Attached))
			f.Needs = "a trust policy: a public key, or an identity with its issuer, to verify what is attached there"
		case r.Signatures.Digest != r.Digest:
			f.Verdict, f.Observed = audit.Fail, "the verification there is about "+shorten(r.Signatures.Digest)
		default:
			f.Verdict, f.Observed = audit.Pass, fmt.Sprintf("%s, signed there by %s, with SBOM", shorten(r.Digest), r.Signatures.signer())
			if faults := r.Signatures.faults(); len(faults) > 0 {
				f.Verdict, f.Observed = audit.Fail, "at the replica "+shorten(faults[0])
			}
		}
		c.add(f)
	}
	for _, x := range c.exports {
		if x.replication == nil {
			continue
		}
		told = true
		n := 0
		for _, rule := range x.replication.Rules {
			n += len(rule.Destinations)
		}
		v, observed := audit.Pass, fmt.Sprintf("%d destinations", n)
		if n == 0 {
			v, observed = audit.Fail, "the registry replicates nowhere"
		}
		c.add(x.on(v, "rules of aws ecr describe-registry", observed, "a rule with a destination in another region"))
	}
	if !told && c.config != nil {
		c.add(audit.Finding{Verdict: audit.Unknown, Artifact: where, Needs: "the repository of a replica, or the registry's replication rules (aws ecr describe-registry)"})
	}
}}
