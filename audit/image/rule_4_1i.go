package image

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hardstand/hardstand/audit"
)

const defaultMaxAge = 35 * 24 * time.Hour

var rule41i = rule{audit.Rule{
	ID: "CHG-4.1i", Title: "The image was built recently", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Image, audit.Export},
	Aliases:  []string{"CIS-DI-0004"},
	Why:      "An image that nobody rebuilds keeps yesterday's libraries and their errors, even where its own code does not change.",
	Fix:      "Rebuild on a schedule, such as a weekly workflow, and publish under a new tag.",
	Evidence: "the time and where it comes from: provenance, a ledger, another attestation, or the configuration",
}, func(c *check) {
	limit := cmp.Or(c.opts.MaxAge, defaultMaxAge)
	expected := fmt.Sprintf("not older than %d days", int(limit.Hours()/24))
	judge := func(f audit.Finding, built time.Time, source string) {
		age := c.opts.Now.Sub(built)
		f.Verdict, f.Expected = audit.Pass, expected
		if age > limit {
			f.Verdict = audit.Fail
		}
		f.Observed = fmt.Sprintf("%s, %d days ago (%s)", built.UTC().Format(time.DateOnly), int(age.Hours()/24), source)
		c.add(f)
	}
	if c.opts.Now.IsZero() && c.config != nil {
		c.unknown("the time of the audit")
		return
	}
	if built := c.opts.Signatures.built(); c.config != nil && !built.IsZero() {
		c.method = "verified provenance"
		judge(audit.Finding{}, built, "its provenance")
		return
	}
	for _, x := range c.exports {
		if built := x.newest(c.opts.Signatures); !built.IsZero() {
			judge(x.on("", "times in the ledger", "", ""), built, "ledger")
			return
		}
	}
	c.method = "times of the attestations, else of the configuration"
	switch {
	case c.config == nil:
		return
	case !c.opts.Signatures.attested().IsZero():
		judge(audit.Finding{}, c.opts.Signatures.attested(), "seen by a log or timestamp authority")
	case c.config.Created.Unix() > 365*24*3600:
		judge(audit.Finding{Locator: configAt("/created")}, c.config.Created.Time, "the configuration's own word")
	default:
		c.unknown("an attested build time or a ledger: a reproducible image has no time of its own")
	}
}}

// attested is the newest time that somebody else saw.
func (s *Signatures) attested() time.Time {
	var t time.Time
	if s == nil {
		return t
	}
	for _, a := range s.Attestations {
		if a.Time.After(t) {
			t = a.Time
		}
	}
	for _, p := range s.Platforms {
		if at := p.attested(); at.After(t) {
			t = at
		}
	}
	return t
}

// built is when provenance says that the oldest platform was built: an index
// is as old as what nobody rebuilt in it.
func (s *Signatures) built() time.Time {
	var t time.Time
	if s == nil {
		return t
	}
	for _, a := range s.Attestations {
		if a.Built.After(t) {
			t = a.Built
		}
	}
	for _, p := range s.Platforms {
		if at := p.built(); t.IsZero() || !at.IsZero() && at.Before(t) {
			t = at
		}
	}
	return t
}

// newest is the ledger's newest time, of the image's digest if that is known.
func (x export) newest(s *Signatures) time.Time {
	var t time.Time
	for _, l := range x.ledger {
		if (s == nil || s.Digest == l.Digest) && l.Time.After(t) {
			t = l.Time
		}
	}
	return t
}
