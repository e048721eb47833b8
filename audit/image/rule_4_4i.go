package image

import (
	"fmt"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule44i = rule{audit.Rule{
	ID: "CHG-4.4i", Title: "A tag never names another image", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Registry, audit.Export},
	Aliases:  []string{"AWS-0031", "AVD-AWS-0031"},
	Why:      "A tag that moves deploys something else than what was tested, and an intruder's image under a known name.",
	Fix:      "aws ecr put-image-tag-mutability --image-tag-mutability IMMUTABLE; hardstand publish refuses to overwrite.",
	Evidence: "the setting, or the lines of the ledger where a tag moved",
}, func(c *check) {
	told := false
	for _, x := range c.exports {
		for _, r := range x.repositories {
			told = true
			v := audit.Pass
			if !strings.HasPrefix(r.Mutability, "IMMUTABLE") {
				v = audit.Fail
			}
			c.add(x.on(v, "imageTagMutability of aws ecr describe-repositories", shorten(r.URI+": "+r.Mutability), "IMMUTABLE"))
		}
		if x.ledger != nil {
			told = true
			c.add(x.moved())
		}
	}
	if !told && c.config != nil {
		c.add(audit.Finding{Verdict: audit.Unknown, Artifact: audit.Artifact{Kind: audit.Registry, Name: c.artifact.Name},
			Needs: "the ledger of hardstand publish, or the registry's setting (aws ecr describe-repositories)"})
	}
}}

// moved finds a tag that a ledger gives to two digests.
func (x export) moved() audit.Finding {
	at := map[string]string{}
	for i, l := range x.ledger {
		if was, ok := at[l.Tag]; ok && was != l.Digest {
			f := x.on(audit.Fail, "tags of the ledger", shorten(fmt.Sprintf("tag %s moved from %s to %s", l.Tag, was, l.Digest)), "one digest for each tag")
			f.Locator.StartLine, f.Locator.EndLine = i+1, i+1
			return f
		}
		at[l.Tag] = l.Digest
	}
	return x.on(audit.Pass, "tags of the ledger", fmt.Sprintf("%d tags, none of which moved", len(at)), "one digest for each tag")
}
