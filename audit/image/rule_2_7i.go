package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/hardstand/hardstand/audit"
)

var rule27i = rule{audit.Rule{
	ID: "CHG-2.7i", Title: "The decoys of the register stand in the image, and raise alarms", Severity: audit.Medium, Since: 1,
	Kinds:    []audit.Kind{audit.Image, audit.Decoys, audit.Export},
	Why:      "A decoy that is missing, changed or never heard of raises no alarm when an intruder uses it.",
	Fix:      "Build with canary: {decoys: default}, and fire one as a test: hardstand canary read shows the alarm.",
	Evidence: "path, digest and mode of each decoy; the key of an alarm that was raised",
}, func(c *check) {
	r := c.opts.Register
	if r == nil && c.config == nil {
		return
	}
	if r == nil {
		c.unknown("the decoy register that hardstand build wrote, or the signed manifest of decoys")
		return
	}
	c.method = "path, digest and mode of the final file system compared with the register"
	missing := 0
	for _, p := range r.Decoys {
		if c.config == nil {
			break
		}
		if fault := c.planted(p); fault != "" {
			missing++
			c.add(audit.Finding{Verdict: audit.Fail, Locator: audit.Locator{File: p.Path}, Observed: fault, Expected: "the decoy as registered"})
		}
	}
	switch {
	case len(r.Decoys) == 0:
		c.add(audit.Finding{Verdict: audit.Warn, Artifact: r.artifact(), Observed: "the register has no decoys", Expected: "decoys in the places of tools"})
	case c.config != nil && missing == 0:
		c.pass("%d decoys stand as registered", len(r.Decoys))
	}
	c.alarms(r)
}}

func (r *Register) artifact() audit.Artifact { return audit.Artifact{Kind: audit.Decoys, Name: r.Name} }

func (c *check) planted(p Planted) string {
	e := c.find(p.Path)
	if e == nil {
		return p.Path + " is not in the image"
	}
	if !c.decoy(e) {
		return p.Path + " has another digest than registered: sha256:" + e.sha256
	}
	if mode, err := strconv.ParseUint(p.Mode, 8, 32); err == nil && e.mode.Perm() != fs.FileMode(mode).Perm() {
		return fmt.Sprintf("%s has the mode %04o and not %s", p.Path, e.mode.Perm(), p.Mode)
	}
	return ""
}

// alarms looks for an alarm of any of the register's keys.
func (c *check) alarms(r *Register) {
	method := "keys of the register searched among the exported alarms"
	seen := false
	for _, x := range c.exports {
		if !x.alarms {
			continue
		}
		seen = true
		verdict, observed := audit.Fail, "no alarm of a decoy of this register"
		for _, p := range r.Decoys {
			if p.Key != "" && bytes.Contains(x.data, []byte(`"`+p.Key+`"`)) {
				verdict, observed = audit.Pass, "an alarm of "+p.Name+" with the key "+p.Key
				break
			}
		}
		c.add(x.on(verdict, method, observed, "an alarm that a test of the decoys raised"))
	}
	if !seen {
		c.add(audit.Finding{Verdict: audit.Unknown, Artifact: r.artifact(), Method: method, Needs: "an export of alarms with one that a test of the decoys raised: hardstand canary read --json"})
	}
}
