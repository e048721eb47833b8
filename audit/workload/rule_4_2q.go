package workload

import (
	"fmt"
	"github.com/hardstand/hardstand/audit"
	"slices"
	"strings"
)

var rule42q = rule{Rule: audit.Rule{
	ID: "CHG-4.2q", Title: "Unsigned images are refused", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Kubernetes, audit.Export},

	Why:      "A signature that nobody checks protects nobody.",
	Fix:      "hardstand policy kyverno REPOSITORY --key KEY; sigstore and containers write the other forms.",
	Evidence: "the policy and what it enforces",
}, whole: func(c *check) {
	c.method = "admission policies and containers/image policy in the file"
	seen := false
	for _, d := range c.docs {
		m := object(d.value)
		k := &container{doc: d, name: shorten(strings.TrimSpace(text(m["kind"]) + " " + text(object(m["metadata"])["name"])))}
		at, observed, ok, is := policyOf(m)
		if !is {
			continue
		}
		seen = true
		if k.name == "" {
			k.name = "policy"
		}
		if ok {
			c.pass(k, at, observed)
		} else {
			c.fail(k, at, observed, "a policy that refuses images without a signature")
		}
	}
	if !seen && len(c.containers) > 0 {
		c.add(nil, "", audit.Finding{Verdict: audit.Unknown, Needs: "the cluster's admission policy: Kyverno, ClusterImagePolicy, Connaisseur; or policy.json of the hosts"})
	}
}}

// policyOf says of a document whether it is a policy and whether it refuses.
func policyOf(m map[string]any) (at, observed string, ok, is bool) {
	spec := object(m["spec"])
	version := text(m["apiVersion"])
	switch kind := text(m["kind"]); {
	case strings.HasPrefix(version, "kyverno.io/") && (kind == "ClusterPolicy" || kind == "Policy"):
		return kyverno(spec)
	case strings.HasPrefix(version, "policies.kyverno.io/") && strings.HasSuffix(kind, "ImageValidatingPolicy"):
		actions := array(spec["validationActions"])
		deny := len(actions) == 0 || slices.Contains(actions, any("Deny"))
		return "/spec/validationActions", fmt.Sprintf("validationActions %v", actions), deny && len(array(spec["attestors"])) > 0, true
	case strings.HasPrefix(version, "policy.sigstore.dev/") && kind == "ClusterImagePolicy":
		mode := text(spec["mode"])
		return "/spec", fmt.Sprintf("%d authorities, mode %q", len(array(spec["authorities"])), shorten(mode)), mode != "warn" && authorities(spec), true
	case strings.Contains(kind, "WebhookConfiguration") && strings.Contains(text(object(m["metadata"])["name"]), "connaisseur"):
		for _, w := range array(m["webhooks"]) {
			if text(object(w)["failurePolicy"]) == "Ignore" {
				return "/webhooks", "failurePolicy Ignore: without an answer everything is let in", false, true
			}
		}
		return "/webhooks", "Connaisseur decides", len(array(m["webhooks"])) > 0, true
	case m["default"] != nil && (m["transports"] != nil || len(m) == 1):
		first := ""
		for _, r := range array(m["default"]) {
			first += text(object(r)["type"]) + " "
		}
		return "/default", "default " + shorten(first), strings.TrimSpace(first) == "reject", true
	}
	return "", "", false, false
}

// authorities reports whether one of a ClusterImagePolicy's verifies anything.
func authorities(spec map[string]any) bool {
	list := array(spec["authorities"])
	for _, a := range list {
		if action := text(object(object(a)["static"])["action"]); action == "pass" {
			return false
		}
	}
	return len(list) > 0
}

func kyverno(spec map[string]any) (string, string, bool, bool) {
	action, verifies := text(spec["validationFailureAction"]), false
	for _, r := range array(spec["rules"]) {
		for _, v := range array(object(r)["verifyImages"]) {
			m := object(v)
			verifies = verifies || len(array(m["attestors"]))+len(array(m["attestations"])) > 0
			if a := text(m["failureAction"]); a != "" {
				action = a
			}
			if m["required"] == false {
				return "/spec/rules", "required: false: an image without a signature is let in", false, true
			}
		}
	}
	if !verifies {
		return "", "", false, false
	}
	return "/spec", "failure action " + shorten(action), strings.EqualFold(action, "Enforce"), true
}
