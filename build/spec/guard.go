package spec

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxZone leaves room for the labels that a decoy puts before the zone.
const maxZone = 120

// zoneName reports whether s is a DNS name in lower case without a final dot.
func zoneName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(s) <= maxZone && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

// checkPEM wants one or more certificates and nothing else.
func checkPEM(text string) error {
	rest := []byte(strings.TrimSpace(text) + "\n")
	for n := 0; ; n++ {
		block, after := pem.Decode(rest)
		if block == nil {
			if n == 0 || strings.TrimSpace(string(rest)) != "" {
				return errors.New("want certificates in PEM")
			}
			return nil
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil || block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d is not a certificate", n+1)
		}
		rest = after
	}
}

// CheckCanary completes and validates what was changed after parsing.
func (d *Definition) CheckCanary() error {
	var errs []error
	d.finishCanary(func(keys []string, format string, args ...any) {
		errs = append(errs, fmt.Errorf(strings.Join(keys, ".")+": "+format, args...))
	})
	return errors.Join(errs...)
}

const maxPad = 16 << 20 // bytes

// finishDecoys checks what can be said of decoys without knowing them.
func (d *Definition) finishDecoys(fail func([]string, string, ...any)) {
	c := d.Canary
	switch c.Tier {
	case "", "a", "b", "ab":
	default:
		fail([]string{"canary", "tier"}, "unknown tier %q: use a, b or ab", c.Tier)
	}
	if c.Tier == "a" && (c.Collector != "" || c.Zone != "") {
		fail([]string{"canary", "tier"}, "tier a has no network: a collector or zone needs b or ab")
	}
	if c.Pad < 0 || c.Pad > maxPad {
		fail([]string{"canary", "pad"}, "%d is out of range 0..%d", c.Pad, maxPad)
	}
	for name, e := range c.Each {
		if e.Path != "" && !cleanAbs(e.Path) {
			fail([]string{"canary", "each", name, "path"}, "%q is not a clean absolute path", e.Path)
		}
		if e.Path != "" && d.Probe != nil && e.Path == d.Probe.Path {
			fail([]string{"canary", "each", name, "path"}, "decoy %q would stand where the probe is", name)
		}
		if e.Mode != "" && e.Mode != "deny" && e.Mode != "quiet" {
			fail([]string{"canary", "each", name, "mode"}, "unknown mode %q: use deny or quiet", e.Mode)
		}
		if !slices.Contains([]string{"", "alert", "degrade", "fall"}, e.OnTrip) {
			fail([]string{"canary", "each", name, "on-trip"}, "unknown policy %q: use alert, degrade or fall", e.OnTrip)
		}
	}
}

func (d *Definition) finishGuard(fail func([]string, string, ...any)) {
	g := d.Canary.Guard
	if g == nil {
		return
	}
	key := func(k string) []string { return []string{"canary", "guard", k} }
	if g.Path == "" {
		g.Path = "/usr/bin/tini"
	}
	for k, list := range map[string][]string{"path": {g.Path}, "allow": g.Allow, "watch": g.Watch} {
		for _, p := range list {
			if !cleanAbs(p) {
				fail(key(k), "%q is not a clean absolute path", p)
			}
		}
	}
	if d.Probe != nil && d.Probe.Path == g.Path {
		fail(key("path"), "the guard would stand where the probe is")
	}
	if len(d.Canary.Decoys) == 0 {
		fail([]string{"canary", "guard"}, "the guard needs decoys")
	}
	for _, kind := range g.Pipes {
		if !slices.Contains(d.Canary.Tokens, kind) && !slices.Contains(d.Canary.Tokens, "default") {
			d.Canary.Tokens = append(d.Canary.Tokens, kind)
		}
	}
	if len(g.Pipes) > 0 && d.Canary.Collector == "" {
		fail(key("pipes"), `pipes are tokens, and need "collector", the URL that their use is reported to`)
	}
	for _, p := range d.Platforms {
		if p.Arch != "amd64" && p.Arch != "arm64" {
			fail([]string{"canary", "guard"}, "there is no guard for %s, only for linux/amd64 and linux/arm64", p)
		}
	}
}
