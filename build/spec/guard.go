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
